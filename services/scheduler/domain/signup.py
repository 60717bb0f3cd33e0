"""When a step is due, and when it is too late to tell: plain values, the present moment handed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from libs.common.errors import MisconfiguredError
from libs.common.events.scheduler import SignupStepDue
from libs.common.signup_steps import SignupStep
from services.scheduler.domain.routines import SIGNUP_ROUTINE


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
    Raises MisconfiguredError, naming the step, for a negative offset.
    """

    routine: str
    name: str
    position: int
    offset: timedelta
    too_late: timedelta

    def __post_init__(self) -> None:
        for what, length in (("offset", self.offset), ("too_late", self.too_late)):
            if length < timedelta(0):
                raise MisconfiguredError(
                    f"step {self.name} of {self.routine}: its {what} is negative: {length}"
                )

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


def signup_routine(steps: Sequence[SignupStep], too_late: Sequence[timedelta]) -> tuple[Step, ...]:
    """Each step's own `too_late`, but never beyond the next step: nobody gets two at once."""
    ends = [*(step.offset for step in steps[1:]), timedelta.max]
    return tuple(
        Step(SIGNUP_ROUTINE, step.name, position, step.offset, min(late, end - step.offset))
        for position, (step, late, end) in enumerate(zip(steps, too_late, ends, strict=True))
    )


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
