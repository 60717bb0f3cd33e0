"""When a step is due, and when it is too late to tell: plain values, the present moment handed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.events.scheduler import CutoffDue, SignupStepDue, UnpaidReminderDue
from libs.common.french_days import is_working_day

SIGNUP_ROUTINE = "signup_routine"
SIGNUP_FIRST_STEP = "signup_first_step"
CHECK_UNPAID = "check_unpaid"
PARIS = ZoneInfo("Europe/Paris")

# The last reminder has no next one that would take its place.
LAST_REMINDER_TOO_LATE = timedelta(days=14)
RECONCILE_STRIPE = "reconcile_stripe"
CHECK_SUBSCRIPTIONS = "check_stripe_enterprise_subscription"
CHECK_CARDS = "check_cards"
SLOTS_KEPT = timedelta(days=30)
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


def working_morning(now: datetime, hour: int) -> datetime:
    """The last moment at which a routine of working mornings was due, at this hour of Paris."""
    day = now.astimezone(PARIS).date()
    while True:
        morning = datetime.combine(day, time(hour), PARIS)
        if morning <= now and is_working_day(day):
            return morning
        day -= timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ReminderStage:
    """One notice after the first: due so long after the earliest unpaid invoice was told; skipped once the
    next one is due."""

    stage: int
    offset: timedelta
    too_late: timedelta

    @property
    def prefix(self) -> str:
        """Of the occurrence's step; the anchor's invoice follows: another anchor is reminded of anew."""
        return f"reminder_{self.stage}:"


def reminder_stages(days: Sequence[int]) -> tuple[ReminderStage, ...]:
    """The first notice is InvoiceUnpaid's own, so that the reminders begin with stage 2."""
    offsets = [timedelta(days=each) for each in days]
    ends = [*offsets[1:], offsets[-1] + LAST_REMINDER_TOO_LATE] if offsets else []
    return tuple(
        ReminderStage(number, offset, end - offset)
        for number, (offset, end) in enumerate(zip(offsets, ends, strict=True), start=2)
    )


@dataclass(frozen=True, slots=True)
class Reminder:
    """A notice whose moment has come, judged."""

    company_id: UUID
    anchor_invoice_id: str
    due_at: datetime
    deadline_at: datetime
    currency: str
    customer_name: str
    customer_email: str | None
    status: Status
    event_id: UUID
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Cutoff:
    """A company whose deadline has passed."""

    company_id: UUID
    deadline_at: datetime
    event_id: UUID
    traceparent: str | None


def cutoff_step(morning: datetime) -> str:
    return f"cutoff:{morning.astimezone(PARIS).date().isoformat()}"


def unpaid_reminder_due(stage: ReminderStage, reminder: Reminder) -> UnpaidReminderDue:
    return UnpaidReminderDue(
        company_id=reminder.company_id,
        anchor_invoice_id=reminder.anchor_invoice_id,
        stage=stage.stage,
        due_at=reminder.due_at,
        deadline_at=reminder.deadline_at,
        currency=reminder.currency,
        customer_name=reminder.customer_name,
        customer_email=reminder.customer_email,
    )


def cutoff_due(cutoff: Cutoff, morning: datetime) -> CutoffDue:
    return CutoffDue(
        company_id=cutoff.company_id,
        due_on=morning.astimezone(PARIS).date(),
        deadline_at=cutoff.deadline_at,
    )


def latest_morning(now: datetime, hour: int) -> datetime:
    """The last moment at which a routine of every morning was due, at this hour of Paris."""
    day = now.astimezone(PARIS).date()
    morning = datetime.combine(day, time(hour), PARIS)
    return morning if morning <= now else datetime.combine(day - timedelta(days=1), time(hour), PARIS)


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
