"""Whom nothing is sent to, for the people who run Relance: added, lifted, listed, explained. Internal."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from libs.common.database import Database
from libs.common.internal_key import InternalKey
from services.notifications import queries, suppressions
from services.notifications.domain import (
    KINDS,
    Category,
    Channel,
    NoTargetError,
    Reason,
    Scope,
    ScopeError,
    Suppression,
    target_of,
    targets_of,
)
from services.notifications.settings import NotificationsSettings

LARGEST_PAGE = 200


def _as_error_of_the_field(check: Callable[[str], str]) -> AfterValidator:
    def checked(text: str) -> str:
        try:
            return check(text)
        except (NoTargetError, ScopeError) as error:
            # As a value, not as the template: braces in it are nobody's placeholders.
            raise PydanticCustomError("not_acceptable", "{message}", {"message": str(error)}) from error

    return AfterValidator(checked)


def _kind(text: str) -> str:
    if text not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise ScopeError(f"Ce type de message n'existe pas : choisissez parmi {known}.")
    return text


Target = Annotated[str, StringConstraints(max_length=400), _as_error_of_the_field(target_of)]
Kind = Annotated[str, _as_error_of_the_field(_kind)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Person = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class AddForm(BaseModel):
    """Whom (an address, an @domain, a number), what of it all, why, by whom, until when (null: for good)."""

    model_config = ConfigDict(extra="forbid")

    target: Target
    scope: Annotated[str, StringConstraints(max_length=100)] = Scope.ALL
    reason: Reason = Reason.BY_HAND
    by: Person
    note: Words | None = None
    until: AwareDatetime | None = None


class LiftForm(BaseModel):
    """Who wants it lifted, and why."""

    model_config = ConfigDict(extra="forbid")

    by: Person
    note: Words | None = None


class SuppressionAnswer(BaseModel):
    """A suppression: in force, over, or lifted by whom."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    target: str
    scope: str
    reason: Reason
    note: str | None
    added_by: str
    added_at: datetime
    until: datetime | None
    delivery_id: UUID | None
    lifted_at: datetime | None
    lifted_by: str | None
    lift_note: str | None


class ListAnswer(BaseModel):
    """A page, newest first; `next` goes into `after` for the one behind it, null on the last."""

    suppressions: list[SuppressionAnswer]
    next: UUID | None


class Verdict(BaseModel):
    """Whether a category (or one kind) leaves for a recipient; if not, because of which suppressions."""

    category: Category
    kind: str | None = None
    is_sent: bool
    because_of: list[UUID]


class Explanation(BaseModel):
    """A recipient as suppressions know them, all that name them, and what follows for each category."""

    recipient: str
    channel: Channel
    suppressions: list[SuppressionAnswer]
    verdicts: list[Verdict]


class _Route(APIRoute):
    """422 with where and what to do, and without what was written: it may be no Unicode at all."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                detail = [{name: each[name] for name in ("type", "loc", "msg")} for each in error.errors()]
                return Response(json.dumps({"detail": detail}), 422, media_type="application/json")

        return handled


def create_router(database: Database, settings: NotificationsSettings) -> APIRouter:
    router = APIRouter(
        prefix="/internal/suppressions",
        dependencies=[Depends(InternalKey(settings.interne_apikey))],
        route_class=_Route,
    )
    _add_changes(router, database)
    _add_looks(router, database)
    return router


def _add_changes(router: APIRouter, database: Database) -> None:
    @router.post("", status_code=201)
    async def add_suppression(form: AddForm, response: Response) -> SuppressionAnswer:
        """201: new. 200: it was there already (same target, scope and reason); the later end counts."""
        if form.until is not None and form.until <= database.clock():
            raise _wrong("until", "Cette fin est déjà passée : indiquez une date à venir, ou aucune.")
        async with database.begin() as uow:
            try:
                added = await suppressions.add(
                    uow,
                    form.target,
                    reason=form.reason,
                    scope=form.scope,
                    by=form.by,
                    note=form.note,
                    until=form.until,
                )
            except ScopeError as error:
                raise _wrong("scope", str(error)) from error
        if not added.is_new:
            response.status_code = 200
        return SuppressionAnswer.model_validate(added.suppression)

    @router.post("/{suppression_id}/lift")
    async def lift_suppression(suppression_id: UUID, form: LiftForm) -> SuppressionAnswer:
        """One that was lifted before stays as it is."""
        async with database.begin() as uow:
            await suppressions.lift(uow, [suppression_id], by=form.by, note=form.note)
            found = await queries.find_suppression(uow.session, suppression_id)
        if found is None:
            raise HTTPException(404, "Aucune suppression ne porte cet identifiant : reprenez-le de la liste.")
        return SuppressionAnswer.model_validate(found)


def _add_looks(router: APIRouter, database: Database) -> None:
    @router.get("")
    async def list_suppressions(
        target: Target | None = None,
        *,
        with_lifted: bool = False,
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
    ) -> ListAnswer:
        """All, or those that name a target (for an address also those of its domain)."""
        async with database.begin() as uow:
            place = await queries.find_suppression(uow.session, after) if after else None
            if after and place is None:
                raise _wrong("after", "Ce curseur n'existe pas : reprenez « next » tel quel.")
            found = await queries.list_suppressions(
                uow.session,
                targets=None if target is None else _all_names(target),
                with_lifted=with_lifted,
                after=(place.added_at, place.id) if place else None,
                limit=limit + 1,
            )
        shown = [SuppressionAnswer.model_validate(each) for each in found[:limit]]
        return ListAnswer(suppressions=shown, next=shown[-1].id if len(found) > limit else None)

    @router.get("/explain")
    async def explain(
        recipient: Target, kind: Kind | None = None, category: Category | None = None
    ) -> Explanation:
        """What is sent to an address or a number now, by category, and what holds the rest back."""
        channel = Channel.SMS if recipient.startswith("+") else Channel.MAIL
        async with database.begin() as uow:
            in_force = await queries.list_in_force(uow.session, _all_names(recipient), now=uow.now)
            now = uow.now
        wanted = [KINDS[kind].category] if kind else [category] if category else list(Category)
        return Explanation(
            recipient=recipient,
            channel=channel,
            suppressions=[SuppressionAnswer.model_validate(each) for each in in_force],
            verdicts=[_verdict(each, kind, channel, in_force, now) for each in wanted],
        )


def _verdict(
    category: Category, kind: str | None, channel: Channel, in_force: list[Suppression], now: datetime
) -> Verdict:
    because_of = [
        each.id
        for each in in_force
        if each.holds_back(kind=kind or "", channel=channel, category=category, now=now)
    ]
    return Verdict(category=category, kind=kind, is_sent=not because_of, because_of=because_of)


def _all_names(target: str) -> tuple[str, ...]:
    channel = Channel.SMS if target.startswith("+") else Channel.MAIL
    return targets_of(channel, target) or (target,)


def _wrong(field: str, message: str) -> RequestValidationError:
    """In the shape of every other field that is not acceptable: `detail[].loc`, `detail[].msg`."""
    return RequestValidationError([{"type": "not_acceptable", "loc": ("body", field), "msg": message}])
