"""Unpaid invoices: which notice is due, and whose deadline has passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.errors import MisconfiguredError
from libs.common.events.scheduler import CutoffDue, UnpaidReminderDue
from services.scheduler.domain.schedules import PARIS
from services.scheduler.domain.signup import Status

# The last reminder has no next one that would take its place.
LAST_REMINDER_TOO_LATE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class ReminderStage:
    """One notice after the first: due so long after the earliest unpaid invoice was told; skipped once the
    next one is due. Raises MisconfiguredError, naming the stage, for a negative offset."""

    stage: int
    offset: timedelta
    too_late: timedelta

    def __post_init__(self) -> None:
        for what, length in (("offset", self.offset), ("too_late", self.too_late)):
            if length < timedelta(0):
                raise MisconfiguredError(f"unpaid notice {self.stage}: its {what} is negative: {length}")

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
