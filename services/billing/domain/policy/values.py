"""What a policy holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Reaction(StrEnum):
    """What a decline code asks for."""

    TRY_AGAIN = "try_again"
    ASK_THE_CUSTOMER = "ask_the_customer"
    STOP = "stop"


class Does(StrEnum):
    """What a stage does to a company, mildest first."""

    WARN = "warn"
    RESTRICT = "restrict"
    CUT = "cut"


_STRENGTH = {does: strength for strength, does in enumerate(Does)}


@dataclass(frozen=True, slots=True)
class Declines:
    """Decline codes, sorted. Each stands in one of the three at most."""

    try_again: frozenset[str]
    ask_the_customer: frozenset[str]
    stop: frozenset[str]

    def reaction(self, decline_code: str | None) -> Reaction:
        """A code that nobody sorted is tried again."""
        if decline_code in self.stop:
            return Reaction.STOP
        if decline_code in self.ask_the_customer:
            return Reaction.ASK_THE_CUSTOMER
        return Reaction.TRY_AGAIN


@dataclass(frozen=True, slots=True)
class Tries:
    """Which methods a cycle leaves out."""

    skip_hopeless: bool
    cooling: frozenset[str]
    cooling_days: int

    def is_cooling(self, decline_code: str, age: timedelta) -> bool:
        return decline_code in self.cooling and age < timedelta(days=self.cooling_days)


@dataclass(frozen=True, slots=True)
class Forbidden:
    """When nothing is restricted or cut. `friday_from_hour` 24: Fridays are like other days."""

    friday_from_hour: int
    weekends: bool
    public_holidays: bool
    eves_of_public_holidays: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """Due from this age of the earliest unpaid invoice on, with at least so many unpaid invoices."""

    does: Does
    after_days: int
    unpaid_invoices: int = 1

    def holds(self, unpaid_count: int, age: timedelta) -> bool:
        return unpaid_count >= self.unpaid_invoices and age >= timedelta(days=self.after_days)


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of it, whole."""

    version: str
    declines: Declines
    tries: Tries
    deadline_days: int
    notice_hours: int
    days_until_person: int
    forbidden: Forbidden
    zone: ZoneInfo
    working_morning_hour: int
    stages: tuple[Stage, ...]

    @property
    def restricts(self) -> bool:
        """Whether lines are restricted before they are cut."""
        return any(stage.does is Does.RESTRICT for stage in self.stages)

    @property
    def warning_days(self) -> tuple[int, ...]:
        return tuple(sorted({stage.after_days for stage in self.stages if stage.does is Does.WARN}))

    def wanted(self, unpaid_count: int, age: timedelta) -> Does | None:
        """The strongest stage that holds."""
        holding = [stage.does for stage in self.stages if stage.holds(unpaid_count, age)]
        return max(holding, key=_STRENGTH.__getitem__, default=None)

    def due_at(self, does: Does, unpaid_count: int, anchor: datetime) -> datetime | None:
        """From when on something at least as strong is wanted; None: never, with so few unpaid invoices."""
        days = [
            stage.after_days
            for stage in self.stages
            if _STRENGTH[stage.does] >= _STRENGTH[does] and unpaid_count >= stage.unpaid_invoices
        ]
        return anchor + timedelta(days=min(days)) if days else None
