"""A year of Paris in simulated time, on a real PostgreSQL: one to four schedulers at once, which die in the
middle of their work, are stopped for up to three days, and whose clock is put back. A model says
what was due.

Whole by `make year`; in the suite, the two days around each change of the clock.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import NAMESPACE_OID, UUID, uuid5

import pytest
from sqlalchemy import text

from libs.common.database import Database, Uow
from libs.common.events.scheduler import SignupStepDue
from services.scheduler import handlers
from services.scheduler.domain import CatchUp, Cron, Every, Overlap, Routine
from services.scheduler.jobs import Batch, Engine, Work
from services.scheduler.reading import Reading
from services.scheduler.settings import SchedulerSettings
from tests.integration.scheduler.builders import HandClock, scheduler_database, scheduler_settings
from tests.integration.scheduler.year import Book, Model, Owed, Rule, Script, Wall
from tests.world import World

IS_WHOLE = bool(os.environ.get("RELANCE_WHOLE_YEAR"))
WHOLE = [("2026-01-01", 365, int(os.environ.get("RELANCE_YEAR_SEED", "1")))]
SHORT = [("2026-03-28", 2, 3), ("2026-10-24", 2, 4)]
LONGEST_STOP_HOURS = 72 if IS_WHOLE else 12
STEP_MINUTES = (1, 2, 7, 15, 30, 45, 90, *((180, 360, 600) if IS_WHOLE else ()))
LEASE = timedelta(minutes=10)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def routine(name: str, schedule: Cron | Every, **values: object) -> Routine:
    return Routine(name=name, schedule=schedule, sentence=".", alarm_after=HOUR, **values)  # type: ignore[arg-type]


ROUTINES = (
    routine("night", Cron("30 2 * * *"), catch_up=CatchUp.ALL),
    routine("small_hours", Cron("15,45 1-3 * * *"), window=DAY),
    routine("morning", Cron("0 9 * * *"), working_days_only=True),
    routine("report", Cron("0 8 * * 1-5"), catch_up=CatchUp.ALL, window=timedelta(hours=36)),
    routine("fortnight", Cron("0 0 1,15 * *"), window=DAY),
    routine("quarter", Every(timedelta(minutes=15)), overlap=Overlap.SKIP),
    routine("hourly", Cron("0 * * * *"), catch_up=CatchUp.SKIP),
    routine("spread", Every(6 * HOUR), catch_up=CatchUp.ALL, jitter=timedelta(minutes=50)),
    routine("half_hour", Cron("*/30 * * * *"), jitter=timedelta(minutes=5)),
)
RULES = (
    Rule("night", "all", lambda t: (t.hour, t.minute) == (2, 30)),
    Rule("small_hours", "latest", lambda t: t.hour in (1, 2, 3) and t.minute in (15, 45), window=DAY),
    Rule("morning", "latest", lambda t: (t.hour, t.minute) == (9, 0), working_days=True),
    Rule(
        "report",
        "all",
        lambda t: t.weekday() < 5 and (t.hour, t.minute) == (8, 0),
        window=timedelta(hours=36),
    ),
    Rule("fortnight", "latest", lambda t: t.day in (1, 15) and (t.hour, t.minute) == (0, 0), window=DAY),
    Rule("quarter", "latest", every=timedelta(minutes=15), skips_overlap=True),
    Rule("hourly", "skip", lambda t: t.minute == 0),
    Rule("spread", "all", every=6 * HOUR),
    Rule("half_hour", "latest", lambda t: t.minute in (0, 30)),
)


Ended = tuple[str, str | None, int, int]
"""A run's status, why, facts told and failed attempts."""


class KilledError(BaseException):
    """What `kill -9` is to a process: nothing of it runs any more."""


@dataclass
class Life:
    """Schedulers that work by the script, and die by it."""

    database: Database
    settings: SchedulerSettings
    seed: int
    deaths: Counter[tuple[str, datetime]] = field(default_factory=Counter)

    def engine(self) -> Engine:
        works: Mapping[str, Work] = {
            each.name: Work(partial(self.tell, each.name), reads_first=False) for each in ROUTINES
        }
        reading = Reading(handlers.router, self.settings)
        return Engine(self.database, ROUTINES, works, self.settings, reading=reading)

    async def tell(self, name: str, uow: Uow, due_at: datetime) -> Batch:
        """One fact a batch. Its row is inserted without looking whether it is there: twice is an error."""
        step = due_at.astimezone(UTC).isoformat()
        values = {"routine": name, "step": step}
        done = (await uow.session.execute(_COUNT, values)).scalar_one()
        script = Script.of(self.seed, name, due_at)
        dead = self.deaths[name, due_at]
        if dead < len(script.deaths) and script.deaths[dead] == done:
            self.deaths[name, due_at] += 1
            raise KilledError
        if done == script.batches:
            return Batch(0)
        company_id = company(name, due_at, done)
        await uow.session.execute(_ADD, {**values, "company_id": company_id, "due_at": due_at})
        await uow.publish(
            SignupStepDue(
                company_id=company_id, step=name, due_at=due_at, expires_at=due_at, name="n", email="e"
            )
        )
        return Batch(1, told=1)

    async def turn(self, engine: Engine) -> Engine:
        """Until there is nothing left. Who is killed is replaced by a new one, as a supervisor would."""
        while True:
            try:
                while await engine.tick():
                    pass
            except KilledError:
                engine = self.engine()
            else:
                return engine


_COUNT = text("select count(*) from occurrences where routine = :routine and step = :step")
_ADD = text("""
    insert into occurrences (routine, company_id, step, due_at, expires_at, status, decided_at)
    values (:routine, :company_id, :step, :due_at, :due_at, 'told', :due_at)
""")
_OPEN = "select routine, due_at, status from runs where status in ('planned', 'running')"
_RUNS = "select routine, due_at, status, why, told, attempts from runs"
_WHY = "select why from runs where routine = $1 and due_at = $2"


def company(name: str, due_at: datetime, number: int) -> UUID:
    return uuid5(NAMESPACE_OID, f"{name}|{due_at.timestamp()}|{number}")


@pytest.mark.parametrize(("first", "days", "seed"), WHOLE if IS_WHOLE else SHORT)
@pytest.mark.timeout(3 * 3600 if IS_WHOLE else 300)
async def test_told_is_what_was_due_minus_what_the_rules_skip_and_nothing_twice(
    world: World, first: str, days: int, seed: int
) -> None:
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    end = start + timedelta(days=days)
    wall = Wall(start, end)
    books = [
        Book(rule, rule.slots(wall, start, end), each.begins_at)
        for rule, each in zip(RULES, ROUTINES, strict=True)
    ]
    await world.rows(
        "scheduler",
        "insert into routines (routine, planned_until) select unnest($1::text[]), $2",
        [rule.name for rule in RULES],
        start,
    )
    async with scheduler_database(world) as database:
        clock = HandClock(start)
        database.clock = clock
        settings = scheduler_settings(world, lease_seconds=LEASE.total_seconds())
        life = Life(database, settings, seed)
        simulation = Simulation(world, life, Model(books, seed, LEASE), clock, random.Random(seed))
        await simulation.run(end)
    await compare(world, books, simulation.ended)


@dataclass
class Simulation:
    """Schedulers and model, through the same time."""

    world: World
    life: Life
    model: Model
    clock: HandClock
    rng: random.Random
    engines: list[Engine] = field(default_factory=list)
    ended: dict[tuple[str, datetime], Ended] = field(default_factory=dict)

    async def run(self, end: datetime) -> None:
        note_at = self.clock.now
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + self.step())
            await self.have_turns()
            if self.clock.now > note_at:
                await self.note_runs()
                note_at = self.clock.now + 30 * DAY
            if self.rng.random() < 0.02:
                await self.put_back()
        self.clock.now = end + LEASE
        await self.have_turns()
        await self.note_runs()

    async def note_runs(self) -> None:
        """They are kept for three months only. What has ended never changes."""
        for row in await self.world.rows("scheduler", _RUNS):
            key = (row["routine"], row["due_at"])
            ended = (row["status"], row["why"], row["told"], row["attempts"])
            before = self.ended.get(key, ended)
            assert before == ended or before[0] in ("planned", "running"), (key, before, ended)
            self.ended[key] = ended

    def step(self) -> timedelta:
        """Mostly some minutes; sometimes everything is stopped, for up to three days."""
        rng = self.rng
        if rng.random() < 0.03:
            return timedelta(hours=rng.uniform(1, LONGEST_STOP_HOURS))
        return timedelta(minutes=rng.choice(STEP_MINUTES), seconds=rng.choice((0, 0, 17)))

    async def have_turns(self) -> None:
        """One to four at once; some go on from the time before, some are new, sometimes all are."""
        unclear = self.model.unclear(self.clock.now)
        if self.rng.random() < 0.1:
            self.engines = []
        count = self.rng.randint(1, 4)
        engines = (self.engines + [self.life.engine() for _ in range(count)])[:count]
        self.engines = list(await asyncio.gather(*(self.life.turn(engine) for engine in engines)))
        await self.life.turn(self.engines[0])  # what was being planned by one when another one looked
        seen = {}
        for name, due_at in unclear:
            [row] = await self.world.rows("scheduler", _WHY, name, due_at)
            seen[name, due_at] = row["why"]
        self.model.turn(self.clock.now, seen)
        rows = await self.world.rows("scheduler", _OPEN)
        found = {(row["routine"], row["due_at"]): row["status"] for row in rows}
        assert found == self.model.open(), self.clock.now

    async def put_back(self) -> None:
        """The clock goes back by up to two hours, and forward again."""
        before = self.clock.now
        self.clock.now = before - timedelta(minutes=self.rng.uniform(1, 120))
        await self.have_turns()
        self.clock.now = before


async def compare(world: World, books: list[Book], found: Mapping[tuple[str, datetime], Ended]) -> None:
    expected = {
        (book.rule.name, owed.due_at): (owed.status, owed.why, owed.told, 0)
        for book in books
        for owed in book.owed.values()
    }
    differ = {key: (expected.get(key), found.get(key)) for key in expected.keys() | found.keys()}
    differ = {key: pair for key, pair in differ.items() if pair[0] != pair[1]}
    assert not differ, (len(differ), sorted(differ.items(), key=lambda item: item[0][1])[:10])
    every = {(book.rule.name, slot) for book in books for slot in book.slots}
    assert set(found) == every, "each moment that was due has one row"

    owed_facts = {fact for book in books for owed in book.owed.values() for fact in facts_of(book, owed)}
    told = await world.rows("scheduler", "select routine, company_id from occurrences")
    assert {(r["routine"], r["company_id"]) for r in told} == owed_facts
    outbox = await world.rows("scheduler", "select key from outbox where type = $1", SignupStepDue.type)
    assert sorted(r["key"] for r in outbox) == sorted(str(company_id) for _, company_id in owed_facts)
    print_figures(books, len(owed_facts))


def facts_of(book: Book, owed: Owed) -> list[tuple[str, UUID]]:
    return [(book.rule.name, company(book.rule.name, owed.due_at, n)) for n in range(owed.told)]


def print_figures(books: list[Book], facts: int) -> None:
    became = Counter(owed.why or owed.status for book in books for owed in book.owed.values())
    deaths = sum(owed.deaths for book in books for owed in book.owed.values())
    print(f"\n{sum(became.values())} moments: {dict(became)}; {facts} facts, {deaths} deaths")
    assert {"done", "superseded", "missed", "overlap"} <= set(became), "the year had everything in it"
    assert deaths > 0
