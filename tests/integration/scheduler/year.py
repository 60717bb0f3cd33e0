"""An independent model of what routines owe: which moments were due, and what the written rules make of each.

It shares no code with the engine. Moments are found by walking every minute of real time and reading the wall
clock; holidays are a list; the rules are written again.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
MINUTE = timedelta(minutes=1)
ON_TIME = timedelta(minutes=2)

HOLIDAYS = {
    date.fromisoformat(day)
    for day in (
        "2026-01-01", "2026-04-06", "2026-05-01", "2026-05-08", "2026-05-14", "2026-05-25", "2026-07-14",
        "2026-08-15", "2026-11-01", "2026-11-11", "2026-12-25", "2027-01-01",
    )
}  # fmt: skip


class Wall:
    """What the clock on a wall in Paris shows in each minute of some time."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self._first: dict[datetime, datetime] = {}
        at = start - timedelta(days=2)
        while at < end + timedelta(days=2):
            self._first.setdefault(at.astimezone(PARIS).replace(tzinfo=None, fold=0), at)
            at += MINUTE
        self._shown = sorted(self._first)

    def times(self) -> Iterator[datetime]:
        """Every time that a wall clock could show, also those that it jumps over."""
        shown, last = self._shown[0], self._shown[-1]
        while shown <= last:
            yield shown
            shown += MINUTE

    def moment(self, shown: datetime) -> datetime:
        """The first moment at which it shows this, or else the first at which it shows something later."""
        return self._first[self._shown[bisect.bisect_left(self._shown, shown)]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A routine as people say it; `is_due` reads a time of the wall; without it, `every` by real time."""

    name: str
    catch_up: str
    is_due: Callable[[datetime], bool] | None = None
    every: timedelta | None = None
    window: timedelta | None = None
    working_days: bool = False
    skips_overlap: bool = False

    def slots(self, wall: Wall, start: datetime, end: datetime) -> list[datetime]:
        if self.every is not None:
            found = set()
            at = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=10)
            while at <= end:
                found.add(at)
                at += self.every
        else:
            is_due = self.is_due
            assert is_due is not None
            found = {wall.moment(shown) for shown in wall.times() if is_due(shown)}
        return sorted(at for at in found if start < at <= end and self._is_day(at.astimezone(PARIS).date()))

    def _is_day(self, day: date) -> bool:
        return not self.working_days or (day.weekday() < 5 and day not in HOLIDAYS)


@dataclass(slots=True)
class Owed:
    """A moment that was due, and what has become of it so far."""

    due_at: datetime
    begins_at: datetime
    status: str
    why: str | None
    touched_at: datetime
    lease_until: datetime | None = None
    told: int = 0
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """What happens to a run: how many batches it has, and at which of them whoever works it dies."""

    batches: int
    deaths: tuple[int, ...]

    @classmethod
    def of(cls, seed: int, routine: str, due_at: datetime) -> Script:
        drawn = hashlib.sha256(f"{seed}|{routine}|{due_at.timestamp()}".encode()).digest()
        batches = drawn[0] % 4
        deaths = {0: (), 1: (drawn[1] % (batches + 1),), 2: (0, batches)}.get(drawn[2] % 8, ())
        return cls(batches, deaths)


@dataclass(slots=True)
class Book:
    """One routine: its moments, and those that have passed."""

    rule: Rule
    slots: list[datetime]
    begins_at: Callable[[datetime], datetime]
    owed: dict[datetime, Owed] = field(default_factory=dict)
    planned: int = 0

    def running(self) -> Owed | None:
        return next((owed for owed in self.owed.values() if owed.status == "running"), None)

    def waiting(self) -> list[Owed]:
        return [owed for owed in self.owed.values() if owed.status == "planned"]


Look = Callable[[str, datetime], str]
"""Which of two lawful orders it was: `status` or `why` of a moment in the database."""


class Model:
    """Told when the schedulers had a turn, it knows what they must have done."""

    def __init__(self, books: Sequence[Book], seed: int, lease: timedelta) -> None:
        self.books = books
        self._seed = seed
        self._lease = lease

    def unclear(self, now: datetime) -> list[tuple[str, datetime]]:
        """Moments about which two schedulers that come at once may lawfully do this or that: one may finish,
        or begin, what waits while the other one only now sees that a newer moment has come."""
        found: list[tuple[str, datetime]] = []
        for book in self.books:
            new = self._new(book, now)
            if new and book.rule.catch_up == "latest":
                found.extend((book.rule.name, owed.due_at) for owed in book.waiting())
            if new and book.rule.skips_overlap and book.running() is not None:
                found.extend((book.rule.name, slot) for slot in new)
        return found

    def turn(self, now: datetime, seen: dict[tuple[str, datetime], str | None]) -> None:
        """`seen`: why each unclear moment was skipped, None where it was not."""
        for book in self.books:
            self._plan(book, now, seen)
            while (owed := self._next(book, now)) is not None:
                self._work(book, owed, now)

    def open(self) -> dict[tuple[str, datetime], str]:
        """What waits, and what somebody who died still holds."""
        return {
            (book.rule.name, owed.due_at): owed.status
            for book in self.books
            for owed in book.owed.values()
            if owed.status in ("planned", "running")
        }

    def _new(self, book: Book, now: datetime) -> list[datetime]:
        return book.slots[book.planned : bisect.bisect_right(book.slots, now)]

    def _plan(self, book: Book, now: datetime, seen: dict[tuple[str, datetime], str | None]) -> None:
        new, rule = self._new(book, now), book.rule
        book.planned += len(new)
        to_work: list[datetime] = []
        for slot in new:
            late = now - slot
            if rule.window is not None and late > rule.window:
                why: str | None = "too_late"
            elif rule.catch_up == "latest" and slot != new[-1]:
                why = "superseded"
            elif rule.catch_up == "skip" and late > ON_TIME:
                why = "missed"
            else:
                why = seen.get((rule.name, slot))
                assert why in (None, "overlap"), (rule.name, slot, why)
            status = "planned" if why is None else "skipped"
            book.owed[slot] = Owed(slot, book.begins_at(slot), status, why, now)
            if why is None:
                to_work.append(slot)
        if to_work and rule.catch_up == "latest":
            for owed in book.waiting():
                if owed.due_at < to_work[-1] and seen.get((rule.name, owed.due_at)) == "superseded":
                    owed.status, owed.why = "skipped", "superseded"

    def _next(self, book: Book, now: datetime) -> Owed | None:
        running = book.running()
        if running is not None:
            lease_until = running.lease_until
            assert lease_until is not None
            is_free = lease_until <= now or running.touched_at > now + self._lease
            return running if is_free and running.due_at <= now else None
        for owed in sorted(book.waiting(), key=lambda each: each.due_at):
            has_begun = owed.begins_at <= now or owed.touched_at > now + self._lease
            if owed.due_at <= now and has_begun:
                return owed
        return None

    def _work(self, book: Book, owed: Owed, now: datetime) -> None:
        window = book.rule.window
        owed.touched_at, owed.lease_until = now, None
        if window is not None and now - owed.due_at > window:
            owed.status, owed.why = "skipped", "too_late"
            return
        script = Script.of(self._seed, book.rule.name, owed.due_at)
        if owed.deaths < len(script.deaths):
            owed.told = script.deaths[owed.deaths]
            owed.deaths += 1
            owed.status, owed.lease_until = "running", now + self._lease
            return
        owed.told = script.batches
        owed.status = "done"
