"""Who calls, and what a route asks of whoever calls it. A route that asks nothing is closed to all but the
highest: whoever adds one need not think of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Request

from services.admin_api.domain import Role, Scope
from services.admin_api.queries import Deed

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a session (`role`), or a program with a key (`scopes`). `name` is what the audit calls
    them."""

    name: str
    address: str
    role: Role | None = None
    admin_id: UUID | None = None
    session_id: UUID | None = None
    scopes: frozenset[Scope] = frozenset()
    # The key of the environment: opens the whole API, and no page.
    is_bootstrap: bool = False

    @property
    def is_masked(self) -> bool:
        """Whether personal data are hidden from them."""
        return self.role is Role.READER

    def may(self, role: Role) -> bool:
        return self.role is not None and self.role.covers(role)

    def did(
        self,
        action: str,
        *,
        subject: str | None = None,
        company_id: UUID | None = None,
        reason: str | None = None,
        **details: Any,
    ) -> Deed:
        """A row of the audit, to be added in the transaction of what was done."""
        return Deed(
            who=self.name,
            action=action,
            role=self.role and self.role.value,
            admin_id=self.admin_id,
            session_id=self.session_id,
            address=self.address,
            subject=subject,
            company_id=company_id,
            reason=reason,
            details=details,
        )


@dataclass(frozen=True, slots=True)
class Need:
    """What a route asks for. `is_page`: opened by cookies, else by keys and bearer tokens. `scope` None: no
    key opens it but the one of the environment. `is_open`: nothing is asked."""

    role: Role = Role.ADMIN
    scope: Scope | None = None
    is_page: bool = False
    is_open: bool = False
    # Signed in is enough, whatever the role: one's own account.
    is_personal: bool = False

    def is_met_by(self, caller: Caller) -> bool:
        if caller.role is not None:
            return caller.may(self.role)
        if self.is_page or self.is_personal:
            return False
        return caller.is_bootstrap or (self.scope is not None and self.scope in caller.scopes)


CLOSED = Need()
_ATTRIBUTE = "__relance_need__"


def need_of(endpoint: object) -> Need:
    return getattr(endpoint, _ATTRIBUTE, CLOSED)


def _asking(need: Need) -> Callable[[F], F]:
    def mark(endpoint: F) -> F:
        setattr(endpoint, _ATTRIBUTE, need)
        return endpoint

    return mark


def api(role: Role, scope: Scope | None = None) -> Callable[[F], F]:
    """Below the route's own decorator: people of this role, keys of this scope."""
    return _asking(Need(role=role, scope=scope))


def page(role: Role) -> Callable[[F], F]:
    """Below the route's own decorator: a page, or what a page's form is sent to."""
    return _asking(Need(role=role, is_page=True))


def own_api() -> Callable[[F], F]:
    """What everybody who is signed in may ask of the API for themselves."""
    return _asking(Need(role=Role.READER, is_personal=True))


def open_api() -> Callable[[F], F]:
    """Nothing is asked: the test of the doors lists by hand which these are."""
    return _asking(Need(is_open=True))


def open_page() -> Callable[[F], F]:
    """Nothing is asked; a form is taken from our own pages only."""
    return _asking(Need(is_open=True, is_page=True))


def caller_of(request: Request) -> Caller:
    """Whom the door let in. Raises LookupError on an open route, where nobody was asked who they are."""
    caller = request.scope.get("state", {}).get("caller")
    if not isinstance(caller, Caller):
        raise LookupError(  # noqa: TRY004 - it is not there, rather than something else
            f"{request.url.path} is open: nobody was asked who they are"
        )
    return caller


CallerOf = Annotated[Caller, Depends(caller_of)]
