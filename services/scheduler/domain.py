"""When a step is due, and when it is too late to tell: plain values, the present moment handed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.events.scheduler import SignupStepDue

SIGNUP_ROUTINE = "signup_routine"
SIGNUP_FIRST_STEP = "signup_first_step"
RECONCILE_STRIPE = "reconcile_stripe"
CHECK_SUBSCRIPTIONS = "check_stripe_enterprise_subscription"
SLOTS_KEPT = timedelta(days=30)
PARIS = ZoneInfo("Europe/Paris")
CHECK_TOO_LATE = timedelta(days=1)
_MIDDLE_OF_MONTH = 15


class Status(StrEnum):
    """What became of an occurrence."""

    TOLD = "told"
    SKIPPED = "skipped"


class Why(StrEnum):
    """Why an occurrence was skipped."""

    TOO_LATE = "too_late"
    SUBSCRIBED = "subscribed"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a routine that is anchored on a moment of a company's life (here its registration).

    Due is anchor + offset, never a window: a clock that was off catches up. `position` counts the steps of
    the routine from 0; a step that is `too_late` after it was due is skipped, with that reason.
    """

    routine: str
    name: str
    position: int
    offset: timedelta
    too_late: timedelta

    def due_at(self, anchor: datetime) -> datetime:
        return anchor + self.offset

    def expires_at(self, anchor: datetime) -> datetime:
        return self.due_at(anchor) + self.too_late

    def newest_due_anchor(self, now: datetime) -> datetime:
        """Whoever's anchor is at this moment or before is due."""
        return now - self.offset

    def newest_expired_anchor(self, now: datetime) -> datetime:
        """Whoever's anchor is at this moment or before is past the step's expiry."""
        return now - self.offset - self.too_late


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A step of a company whose moment has come, judged: told, or skipped with why."""

    company_id: UUID
    name: str
    email: str
    due_at: datetime
    expires_at: datetime
    status: Status
    why: Why | None
    registered_event_id: UUID | None
    traceparent: str | None


def signup_step_due(step: Step, occurrence: Occurrence) -> SignupStepDue:
    return SignupStepDue(
        company_id=occurrence.company_id,
        step=step.name,
        due_at=occurrence.due_at,
        expires_at=occurrence.expires_at,
        name=occurrence.name,
        email=occurrence.email,
    )


def latest_slot(now: datetime, period: timedelta) -> datetime:
    """The last moment of a routine that is due every so often, counted from 1970 so that all clocks agree.

    What was slept through is not made up for: one walk looks at all that came since the last.
    """
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (now - epoch) // period * period


def latest_subscription_check(now: datetime) -> datetime | None:
    """The last midnight in Paris of a 1st or a 15th; None when that is too long ago to make up for."""
    local = now.astimezone(PARIS)
    day = _MIDDLE_OF_MONTH if local.day >= _MIDDLE_OF_MONTH else 1
    due_at = datetime(local.year, local.month, day, tzinfo=PARIS)
    return due_at if now - due_at < CHECK_TOO_LATE else None
