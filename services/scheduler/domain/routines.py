"""The routines: one table. When each is due, and what becomes of a moment at which nobody was there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import takewhile

from libs.common.errors import MisconfiguredError
from libs.common.french_days import is_working_day
from services.scheduler.domain.schedules import PARIS, Cron, Every, Schedule

SIGNUP_ROUTINE = "signup_routine"
CHECK_UNPAID = "check_unpaid"
RECONCILE_STRIPE = "reconcile_stripe"
CHECK_SUBSCRIPTIONS = "check_stripe_enterprise_subscription"
CHECK_CARDS = "check_cards"

# What was due longer ago is neither told nor written down; nor are runs kept for longer.
LOOK_BACK = timedelta(days=92)
ON_TIME = timedelta(minutes=2)
_NOTHING = timedelta(0)
_LONGEST_WITHOUT = timedelta(days=50 * 366)


class CatchUp(StrEnum):
    """What becomes of the moments at which no scheduler was there."""

    LATEST = "latest"
    """Of several, the last one is told; it stands for those before."""
    ALL = "all"
    """Each is told, oldest first."""
    SKIP = "skip"
    """None is told, unless it is only just past."""


class Overlap(StrEnum):
    """What becomes of a moment that comes while the routine's run before is not finished.

    Two runs of a routine are never worked at once.
    """

    WAIT = "wait"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Routine:
    """A planned thing of ours: when it is due, what is caught up with, and what it tells, in French.

    `window`: a moment that is longer past than this is skipped as too late; None: never too late.
    `jitter`: work begins up to so long after the moment, always equally long for the same moment.
    `alarm_after`: how long after a moment its run may be missing before somebody is told.
    Raises MisconfiguredError, naming the routine, for what can never be.
    """

    name: str
    schedule: Schedule
    sentence: str
    alarm_after: timedelta
    catch_up: CatchUp = CatchUp.LATEST
    window: timedelta | None = None
    overlap: Overlap = Overlap.WAIT
    jitter: timedelta = _NOTHING
    working_days_only: bool = False
    is_on: bool = True

    def __post_init__(self) -> None:
        for what, length in (("jitter", self.jitter), ("window", self.window), ("alarm", self.alarm_after)):
            if length is not None and length < _NOTHING:
                raise MisconfiguredError(f"routine {self.name}: its {what} is negative: {length}")
        if self.window is not None and self.window > LOOK_BACK:
            raise MisconfiguredError(f"routine {self.name}: its window is longer than {LOOK_BACK.days} days")
        if self.working_days_only:
            start = datetime(2024, 1, 1, tzinfo=UTC)
            near = takewhile(lambda at: at < start + _LONGEST_WITHOUT, self.schedule.after(start))
            if not any(self._counts(at) for at in near):
                raise MisconfiguredError(
                    f"routine {self.name}: {self.schedule.text()!r} never fires on a working day"
                )

    def _counts(self, at: datetime) -> bool:
        return not self.working_days_only or is_working_day(at.astimezone(PARIS).date())

    def slots_after(self, moment: datetime) -> Iterator[datetime]:
        """The moments at which it is due, later than this, soonest first."""
        return filter(self._counts, self.schedule.after(moment))

    def slots_between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Later than `after`, up to and with `until`."""
        return takewhile(lambda at: at <= until, self.slots_after(after))

    def next_slot(self, moment: datetime) -> datetime:
        return next(self.slots_after(moment))

    def latest_slot(self, now: datetime) -> datetime:
        """The last moment at which it was due."""
        return next(filter(self._counts, self.schedule.before(now)))

    def begins_at(self, due_at: datetime) -> datetime:
        """When its work begins: the moment, and its jitter."""
        digest = hashlib.sha256(f"{self.name}|{due_at.timestamp()}".encode()).digest()
        share: float = int.from_bytes(digest[:4], "big") / 2**32
        return due_at + self.jitter * share

    def expected_by(self, now: datetime) -> datetime:
        """Until when its next run must have been heard of."""
        return self.next_slot(now) + self.jitter + self.alarm_after


ROUTINES: tuple[Routine, ...] = (
    Routine(
        name=SIGNUP_ROUTINE,
        schedule=Every(timedelta(minutes=5)),
        sentence="Les étapes du parcours d’inscription, à qui n’est pas abonné.",
        alarm_after=timedelta(minutes=30),
    ),
    Routine(
        name=CHECK_UNPAID,
        schedule=Cron("0 9 * * *"),
        working_days_only=True,
        sentence="Les rappels d’impayés et les échéances dépassées.",
        alarm_after=timedelta(hours=1),
    ),
    Routine(
        name=RECONCILE_STRIPE,
        schedule=Every(timedelta(minutes=10)),
        sentence="La demande de relire chez Stripe les évènements manqués.",
        alarm_after=timedelta(minutes=30),
    ),
    Routine(
        name=CHECK_CARDS,
        schedule=Cron("0 9 * * *"),
        sentence="La demande de chercher les cartes qui expirent bientôt.",
        alarm_after=timedelta(hours=1),
    ),
    Routine(
        name=CHECK_SUBSCRIPTIONS,
        schedule=Cron("0 0 1,15 * *"),
        window=timedelta(days=1),
        sentence="Chaque abonnement, à comparer avec celui de Stripe.",
        alarm_after=timedelta(hours=2),
        is_on=False,
    ),
)


def with_schedules(routines: Iterable[Routine], schedules: dict[str, Schedule]) -> tuple[Routine, ...]:
    """The same routines, some at other times. Raises MisconfiguredError for a name that none of them has."""
    found = tuple(routines)
    unknown = set(schedules) - {each.name for each in found}
    if unknown:
        raise MisconfiguredError(f"there is no routine {sorted(unknown)[0]!r}; there are {names_of(found)}")
    return tuple(replace(each, schedule=schedules.get(each.name, each.schedule)) for each in found)


def names_of(routines: Sequence[Routine]) -> str:
    return ", ".join(sorted(each.name for each in routines))
