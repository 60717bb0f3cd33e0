"""Which of the moments that have passed are worked, and which are skipped, with why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.scheduler.domain.routines import ON_TIME, CatchUp, Overlap, Routine


class RunStatus(StrEnum):
    """Where a run stands."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class Trigger(StrEnum):
    """Who asked for a run."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    BACKFILL = "backfill"


class SkipWhy(StrEnum):
    """Why a run was skipped."""

    PAUSED = "paused"
    TOO_LATE = "too_late"
    SUPERSEDED = "superseded"
    MISSED = "missed"
    OVERLAP = "overlap"


@dataclass(frozen=True, slots=True)
class Pause:
    """From a moment until another one, which nobody may have said."""

    from_at: datetime
    until_at: datetime | None

    def holds(self, moment: datetime) -> bool:
        return self.from_at <= moment and (self.until_at is None or moment < self.until_at)


def is_paused(pauses: Sequence[Pause], moment: datetime) -> bool:
    return any(pause.holds(moment) for pause in pauses)


@dataclass(frozen=True, slots=True)
class Plan:
    """A moment, decided: `why` None means that it will be worked."""

    due_at: datetime
    why: SkipWhy | None


def plan(
    routine: Routine,
    slots: Sequence[datetime],
    now: datetime,
    *,
    pauses: Sequence[Pause],
    is_running: bool,
    more_follow: bool = False,
) -> list[Plan]:
    """Decides moments that have passed, oldest first; `more_follow`: there are later ones than these.

    A moment in a pause is skipped, and stands for none of those before it.
    """
    in_pause = {slot for slot in slots if is_paused(pauses, slot)}
    last = None if more_follow else next((s for s in reversed(slots) if s not in in_pause), None)
    plans: list[Plan] = []
    for slot in slots:
        if slot in in_pause:
            why: SkipWhy | None = SkipWhy.PAUSED
        else:
            why = _skipped_because(routine, slot, now, is_last=slot == last, is_running=is_running)
        plans.append(Plan(slot, why))
    return plans


def _skipped_because(
    routine: Routine, slot: datetime, now: datetime, *, is_last: bool, is_running: bool
) -> SkipWhy | None:
    if is_too_late(routine, slot, now):
        return SkipWhy.TOO_LATE
    if routine.catch_up is CatchUp.LATEST and not is_last:
        return SkipWhy.SUPERSEDED
    if routine.catch_up is CatchUp.SKIP and now - slot > ON_TIME:
        return SkipWhy.MISSED
    if routine.overlap is Overlap.SKIP and is_running:
        return SkipWhy.OVERLAP
    return None


def is_too_late(routine: Routine, slot: datetime, now: datetime) -> bool:
    return routine.window is not None and now - slot > routine.window
