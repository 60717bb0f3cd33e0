"""Whom nothing, or not everything, is sent to: how far a suppression goes, by its reason and its scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.notifications.domain.deliveries import Category, Channel, Delivery, Why
from services.notifications.domain.kinds import KINDS
from services.notifications.domain.targets import is_number

KIND = "kind:"
"""Begins the scope of one kind alone, such as `kind:signup_first_step`."""


class Scope(StrEnum):
    """What of it all is held back; or `kind:…`."""

    ALL = "all"
    MARKETING = "marketing"
    MAIL = "mail"
    SMS = "sms"


class Reason(StrEnum):
    """Why; it decides which categories a suppression can reach at all."""

    UNSUBSCRIBED = "unsubscribed"
    STOP = "stop"
    COMPLAINT = "complaint"
    BY_HAND = "by_hand"
    HARD_BOUNCE = "hard_bounce"
    BLOCKED = "blocked"


# Whoever says no says it to marketing. A notice that the law asks for, or of a cut, is held back only where
# it could not arrive anyway.
_WISHES = frozenset({Category.MARKETING})
_OUR_OWN = _WISHES | {Category.TRANSACTIONAL, Category.INTERNAL}
_DEAD_ENDS = frozenset(Category)
REACH: Mapping[Reason, frozenset[Category]] = {
    Reason.UNSUBSCRIBED: _WISHES,
    Reason.STOP: _WISHES,
    Reason.COMPLAINT: _WISHES,
    Reason.BY_HAND: _OUR_OWN,
    Reason.HARD_BOUNCE: _DEAD_ENDS,
    Reason.BLOCKED: _DEAD_ENDS,
}

# What people can take back by themselves, on the page of their preferences.
OWN_WISHES = frozenset({Reason.UNSUBSCRIBED, Reason.STOP})

WHY: Mapping[Reason, Why] = {
    Reason.UNSUBSCRIBED: Why.UNSUBSCRIBED,
    Reason.STOP: Why.STOP,
    Reason.COMPLAINT: Why.COMPLAINT,
    Reason.BY_HAND: Why.SUPPRESSED_BY_HAND,
    Reason.HARD_BOUNCE: Why.HARD_BOUNCE,
    Reason.BLOCKED: Why.BLOCKED,
}


class ScopeError(ValueError):
    """A scope that does not exist, or not for this target; the message is French."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """`target` is an address, an `@domain` or a number in E.164; `until` None: until it is lifted."""

    id: UUID
    target: str
    scope: str
    reason: Reason
    note: str | None
    added_by: str
    added_at: datetime
    until: datetime | None = None
    delivery_id: UUID | None = None
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    lift_note: str | None = None

    def is_in_force(self, now: datetime) -> bool:
        return self.lifted_at is None and (self.until is None or now < self.until)

    def holds_back(self, *, kind: str, channel: str, category: Category, now: datetime) -> bool:
        """Of a message to this target."""
        return (
            self.is_in_force(now)
            and category in REACH[self.reason]
            and covers(self.scope, kind=kind, channel=channel, category=category)
        )

    @property
    def sentence(self) -> str:
        until = f" until {self.until.isoformat()}" if self.until else ""
        note = f": {self.note}" if self.note else ""
        return (
            f"{self.target} ({self.scope}) since {self.added_at.isoformat()}{until}, {self.reason}, "
            f"by {self.added_by}{note}"
        )


def covers(scope: str, *, kind: str, channel: str, category: Category) -> bool:
    match scope:
        case Scope.ALL:
            return True
        case Scope.MARKETING:
            return category is Category.MARKETING
        case Scope.MAIL | Scope.SMS:
            return channel == scope
        case _:
            return scope == f"{KIND}{kind}"


def check_scope(scope: str, target: str) -> None:
    """Raises ScopeError."""
    if scope.startswith(KIND):
        if scope.removeprefix(KIND) not in KINDS:
            raise ScopeError(
                f"Ce type de message n'existe pas : choisissez parmi {', '.join(sorted(KINDS))}."
            )
    elif scope not in tuple(Scope):
        raise ScopeError(
            f"Cette portée n'existe pas : choisissez parmi {', '.join(Scope)} ou {KIND}<type de message>."
        )
    other = Scope.MAIL if is_number(target) else Scope.SMS
    if scope == other:
        raise ScopeError(
            f"La portée « {scope} » ne concerne pas {target} : choisissez « {Scope.ALL} » ou son canal."
        )


def suppression_of(
    delivery: Delivery, suppressions: Iterable[Suppression], now: datetime
) -> Suppression | None:
    """The one that holds the delivery back; of several, the one that goes farthest, then the oldest."""
    category = KINDS[delivery.kind].category
    holding = [
        each
        for each in suppressions
        if each.holds_back(kind=delivery.kind, channel=delivery.channel, category=category, now=now)
    ]
    return min(holding, key=lambda each: (-len(REACH[each.reason]), each.added_at, each.id), default=None)


def channel_of(target: str) -> Channel:
    return Channel.SMS if is_number(target) else Channel.MAIL
