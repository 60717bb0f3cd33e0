"""The engine: each moment is worked once, whoever dies, waits, fails or sets a clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest

from libs.common.database import Database, Uow
from libs.common.errors import PermanentFailure, TemporaryFailure
from libs.common.events.scheduler import RoutineRan, RoutineWatched, SignupStepDue
from services.scheduler import handlers
from services.scheduler.control import Control
from services.scheduler.domain import CatchUp, Every, Overlap, Routine
from services.scheduler.jobs import Batch, Engine, Work
from services.scheduler.reading import Reading
from tests.integration.scheduler.builders import (
    NOW,
    HandClock,
    drain,
    scheduler_database,
    scheduler_settings,
    subscribed,
)
from tests.world import World

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
LEASE = timedelta(seconds=60)
HOURLY = Routine(name="hourly", schedule=Every(HOUR), sentence="Chaque heure.", alarm_after=10 * MINUTE)


def fact(name: str, due_at: datetime, number: int) -> SignupStepDue:
    company_id = uuid5(NAMESPACE_OID, f"{name}|{due_at.timestamp()}|{number}")
    return SignupStepDue(
        company_id=company_id, step=name, due_at=due_at, expires_at=due_at, name="n", email="e"
    )


@dataclass
class Teller:
    """Two batches of one fact a run. `before` is called before each, with its number."""

    name: str
    before: Callable[[int], Awaitable[None]] | None = None
    batches: dict[datetime, int] = field(default_factory=dict)

    async def tell(self, uow: Uow, due_at: datetime) -> Batch:
        number = self.batches.get(due_at, 0)
        if self.before is not None:
            await self.before(number)
        if number == 2:
            return Batch(0)
        await uow.publish(fact(self.name, due_at, number))
        self.batches[due_at] = number + 1
        return Batch(1, told=1)


@dataclass
class Bench:
    """A database, its clock, and engines on it."""

    world: World
    database: Database
    clock: HandClock

    def engine(
        self, *tellers: Teller, routine: Routine = HOURLY, reads_first: bool = False, **settings: object
    ) -> Engine:
        chosen = scheduler_settings(self.world, **{"lease_seconds": LEASE.total_seconds(), **settings})
        routines = [replace(routine, name=teller.name) for teller in tellers]
        works = {teller.name: Work(teller.tell, reads_first=reads_first) for teller in tellers}
        return Engine(self.database, routines, works, chosen, reading=Reading(handlers.router, chosen))

    def control(self, teller: Teller, routine: Routine = HOURLY) -> Control:
        return Control(self.database, [routine], {teller.name: Work(teller.tell, reads_first=False)})

    async def runs(self, columns: str = "due_at, status, why, told") -> list[tuple[Any, ...]]:
        rows = await self.world.rows("scheduler", f"select {columns} from runs order by routine, due_at")
        return [tuple(row.values()) for row in rows]

    async def facts(self, event_type: str = SignupStepDue.type) -> int:
        rows = await self.world.rows("scheduler", "select 1 from outbox where type = $1", event_type)
        return len(rows)


@pytest.fixture
async def bench(world: World) -> AsyncIterator[Bench]:
    async with scheduler_database(world) as database:
        clock = HandClock()
        database.clock = clock
        yield Bench(world, database, clock)


class KilledError(BaseException):
    """As `kill -9`: nothing of the process runs any more."""


async def test_a_run_has_its_counts_and_is_told_with_the_moment_of_the_next(bench: Bench) -> None:
    await drain(bench.engine(Teller("hourly")))
    columns = "due_at, trigger, status, looked_at, told, skipped, fence, started_at, finished_at"
    assert await bench.runs(columns) == [(NOW, "schedule", "done", 2, 2, 0, 1, NOW, NOW)]
    rows = await bench.world.rows("scheduler", "select type, data from outbox order by seq")
    told = [RoutineRan.from_bytes(r["data"]) for r in rows if r["type"] == RoutineRan.type]
    assert [(ran.due_at, ran.told, ran.expected_by) for ran in told] == [
        (NOW, 2, NOW + HOUR + HOURLY.alarm_after)
    ]
    watched = [RoutineWatched.from_bytes(r["data"]) for r in rows if r["type"] == RoutineWatched.type]
    assert [(each.why, each.expected_by) for each in watched] == [("on", NOW + HOUR + HOURLY.alarm_after)]


async def test_who_dies_in_the_middle_delays_by_no_more_than_its_lease(bench: Bench) -> None:
    async def die(number: int) -> None:
        if number == 1:
            raise KilledError

    teller = Teller("hourly", die)
    with pytest.raises(KilledError):
        await drain(bench.engine(teller))
    teller.before = None
    assert await bench.runs() == [(NOW, "running", None, 1)]
    bench.clock.now += LEASE - timedelta(seconds=1)
    await drain(bench.engine(teller))
    assert await bench.runs() == [(NOW, "running", None, 1)]
    bench.clock.now += timedelta(seconds=1)
    await drain(bench.engine(teller))
    assert await bench.runs("due_at, status, told, fence") == [(NOW, "done", 2, 2)]
    assert await bench.facts() == 2


async def test_who_comes_back_after_its_lease_writes_nothing(bench: Bench) -> None:
    """Suspended in the middle of a batch for longer than its lease: the other one has finished."""
    asleep, awake = asyncio.Event(), asyncio.Event()

    async def sleep(number: int) -> None:
        if number == 1:
            asleep.set()
            await awake.wait()

    slow = Teller("hourly", sleep)
    suspended = asyncio.create_task(drain(bench.engine(slow)))
    await asleep.wait()
    # Its transaction is not over, and holds the routine: PostgreSQL ends it when the lease has passed.
    await bench.world.rows(
        "scheduler",
        """select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and state = 'idle in transaction'""",
    )
    bench.clock.now += LEASE
    other = Teller("hourly", batches={NOW: 1})
    await drain(bench.engine(other))
    awake.set()
    with pytest.raises(Exception, match=r".*"):
        await suspended
    assert await bench.runs("due_at, status, told, fence") == [(NOW, "done", 2, 2)]
    assert await bench.facts() == 2


async def test_a_batch_that_outlasts_its_lease_is_rolled_back_once_another_has_the_run(bench: Bench) -> None:
    async def lose_the_claim(number: int) -> None:
        if number == 1:
            bench.clock.now += LEASE
            await bench.world.rows(
                "scheduler", "update runs set fence = fence + 1, lease_until = $1", NOW + 2 * LEASE
            )

    await bench.engine(Teller("hourly", lose_the_claim)).tick()
    assert await bench.runs("status, told, fence") == [("running", 1, 2)]
    assert await bench.facts() == 1


async def test_a_process_that_falls_silent_in_a_transaction_does_not_hold_its_routine(bench: Bench) -> None:
    async def look(number: int) -> None:
        [row] = await bench.world.rows(
            "scheduler",
            "select count(*) as n from pg_locks where locktype = 'advisory' and granted and objsubid = 2",
        )
        assert row["n"] == 1

    async def be_silent(number: int) -> None:
        await look(number)
        await asyncio.sleep(1.5)

    engine = bench.engine(Teller("hourly", be_silent), lease_seconds=1.0)
    with pytest.raises(Exception, match=r".*"):
        await engine.tick()
    [row] = await bench.world.rows(
        "scheduler", "select count(*) as n from pg_locks where locktype = 'advisory' and objsubid = 2"
    )
    assert row["n"] == 0


async def test_four_at_once_work_each_moment_once(bench: Bench) -> None:
    tellers = [Teller(f"routine_{n}") for n in range(6)]
    routine = Routine(name="x", schedule=Every(HOUR), sentence=".", alarm_after=HOUR, catch_up=CatchUp.ALL)
    engines = [bench.engine(*tellers, routine=routine) for _ in range(4)]
    for hours in (0, 5, 1):
        bench.clock.now += hours * HOUR
        await asyncio.gather(*(drain(engine) for engine in engines))
        await drain(engines[0])
    assert set(await bench.runs("status, why, told, fence, attempts")) == {("done", None, 2, 1, 0)}
    assert len(await bench.runs()) == 6 * 7
    assert await bench.facts() == 6 * 7 * 2


async def test_a_clock_that_goes_back_tells_nothing_twice_and_forward_is_as_an_outage(bench: Bench) -> None:
    engine = bench.engine(Teller("hourly"))
    await drain(engine)
    for hours in (-3, -2, -1, 0):
        bench.clock.now = NOW + hours * HOUR + MINUTE
        await drain(engine)
        await drain(bench.engine(Teller("hourly")))
    assert await bench.facts() == 2
    bench.clock.now = NOW + 5 * HOUR
    await drain(engine)
    assert [(due_at, why) for due_at, _, why, _ in await bench.runs()] == [
        (NOW, None),
        *((NOW + n * HOUR, "superseded") for n in range(1, 5)),
        (NOW + 5 * HOUR, None),
    ]
    assert await bench.facts() == 4


async def test_a_lease_from_before_the_clock_went_back_is_not_waited_for(bench: Bench) -> None:
    async def die(number: int) -> None:
        raise KilledError

    bench.clock.now = NOW + 2 * HOUR
    with pytest.raises(KilledError):
        await drain(bench.engine(Teller("hourly", die)))
    bench.clock.now = NOW + 2 * HOUR - 5 * MINUTE
    await drain(bench.engine(Teller("hourly")))
    assert await bench.facts() == 0, "its moment has not come by this clock"
    await bench.world.rows("scheduler", "update runs set due_at = due_at - interval '1 hour'")
    await drain(bench.engine(Teller("hourly")))
    assert await bench.facts() == 2


async def test_work_begins_after_its_jitter(bench: Bench) -> None:
    routine = replace(HOURLY, jitter=40 * MINUTE)
    wait = routine.begins_at(NOW) - NOW
    assert wait > MINUTE
    engine = bench.engine(Teller("hourly"), routine=routine)
    await drain(engine)
    assert await bench.runs() == [(NOW, "planned", None, 0)]
    bench.clock.now = NOW + wait - timedelta(seconds=1)
    await drain(engine)
    assert await bench.facts() == 0
    bench.clock.now = NOW + wait
    await drain(engine)
    assert await bench.facts() == 2


@pytest.mark.parametrize(
    ("overlap", "became"), [(Overlap.SKIP, ("skipped", "overlap")), (Overlap.WAIT, ("planned", None))]
)
async def test_a_moment_that_comes_while_the_run_before_goes_on(
    bench: Bench, overlap: Overlap, became: tuple[str, str | None]
) -> None:
    async def die(number: int) -> None:
        raise KilledError

    routine = replace(HOURLY, overlap=overlap)
    with pytest.raises(KilledError):
        await drain(bench.engine(Teller("hourly", die), routine=routine))
    await bench.world.rows("scheduler", "update runs set lease_until = $1", NOW + 3 * HOUR)
    bench.clock.now = NOW + HOUR
    await bench.world.rows("scheduler", "update runs set touched_at = $1", bench.clock.now)
    await drain(bench.engine(Teller("hourly"), routine=routine))
    assert await bench.runs("due_at, status, why") == [(NOW, "running", None), (NOW + HOUR, *became)]
    bench.clock.now = NOW + 3 * HOUR - MINUTE
    await bench.world.rows(
        "scheduler", "update runs set lease_until = $1 where status = 'running'", bench.clock.now
    )
    await drain(bench.engine(Teller("hourly"), routine=routine))
    statuses = await bench.runs("status, why")
    assert statuses[0] == ("done", None)
    assert statuses[-1] == ("done", None) if overlap is Overlap.WAIT else ("skipped", "overlap")


async def test_a_routine_that_fails_is_tried_again_holds_up_no_other_and_fails_in_the_end(
    bench: Bench,
) -> None:
    tries: list[datetime] = []

    async def fail(number: int) -> None:
        tries.append(bench.clock.now)
        raise ValueError("a bug")

    bad, good = Teller("bad", fail), Teller("good")
    engine = bench.engine(bad, good, retry_attempts=3, retry_first_seconds=60, retry_longest_seconds=600)
    await drain(engine)
    assert await bench.runs("routine, status, attempts") == [("bad", "planned", 1), ("good", "done", 0)]
    await drain(engine)
    assert len(tries) == 1, "not before its wait is over"
    for _ in range(2):
        bench.clock.now += 4 * MINUTE
        await drain(engine)
    assert await bench.runs("routine, status, why") == [
        ("bad", "failed", "ValueError: a bug"),
        ("good", "done", None),
    ]
    assert len(tries) == 3
    rows = await bench.world.rows("scheduler", "select data from outbox where type = $1", RoutineRan.type)
    failed = [ran for r in rows if (ran := RoutineRan.from_bytes(r["data"])).outcome == "failed"]
    assert [(ran.routine, ran.expected_by) for ran in failed] == [("bad", NOW + HOURLY.alarm_after)]
    bench.clock.now = NOW + HOUR
    bad.before = None
    await drain(engine)
    assert await bench.runs("routine, status") == [
        ("bad", "failed"), ("bad", "done"), ("good", "done"), ("good", "done"),
    ]  # fmt: skip


async def test_what_can_never_work_is_not_tried_again(bench: Bench) -> None:
    async def refuse(number: int) -> None:
        raise PermanentFailure("too large for Kafka")

    await drain(bench.engine(Teller("hourly", refuse)))
    assert await bench.runs("status, why") == [("failed", "PermanentFailure: too large for Kafka")]


async def test_an_outage_is_waited_for_and_not_counted(bench: Bench) -> None:
    async def wait(number: int) -> None:
        raise TemporaryFailure("the database is down")

    teller = Teller("hourly", wait)
    engine = bench.engine(teller, Teller("other"), retry_attempts=2)
    for _ in range(5):
        with pytest.raises(TemporaryFailure):
            await drain(engine)
    assert await bench.runs("routine, status, attempts") == [("hourly", "planned", 0), ("other", "done", 0)]
    teller.before = None
    await drain(engine)
    assert await bench.facts() == 4


async def test_nothing_is_told_on_old_knowledge_and_after_a_quarter_of_an_hour_it_alarms(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.world.tell(subscribed(uuid5(NAMESPACE_OID, "x")))
    engine = bench.engine(Teller("hourly"), reads_first=True)
    with pytest.raises(TemporaryFailure, match="1 messages"):
        await drain(engine)
    assert not [r for r in caplog.records if r.levelno == logging.ERROR]
    bench.clock.now += 15 * MINUTE
    with pytest.raises(TemporaryFailure, match="1 messages"):
        await drain(engine)
    assert "nothing is told as due since" in caplog.text
    assert await bench.runs("status, told") == [("planned", 0)]


async def test_a_pause_stops_a_run_after_its_batch_and_what_comes_due_is_skipped(bench: Bench) -> None:
    teller = Teller("hourly")
    control = bench.control(teller)

    async def pause(number: int) -> None:
        if number == 1 and bench.clock.now == NOW:
            await control.pause("hourly", until=NOW + 150 * MINUTE, by="alice", why="trop de messages")

    teller.before = pause
    engine = bench.engine(teller)
    await drain(engine)
    assert await bench.facts() == 2, "what was begun is finished, nothing more is begun"
    assert await bench.runs() == [(NOW, "skipped", "paused", 2)]
    for hours in (1, 2, 3):
        bench.clock.now = NOW + hours * HOUR
        await drain(engine)
    assert await bench.runs("due_at, status, why") == [
        (NOW, "skipped", "paused"),
        (NOW + HOUR, "skipped", "paused"),
        (NOW + 2 * HOUR, "skipped", "paused"),
        (NOW + 3 * HOUR, "done", None),
    ]
    rows = await bench.world.rows("scheduler", "select data from outbox where type = $1", RoutineWatched.type)
    watched = [RoutineWatched.from_bytes(r["data"]) for r in rows]
    assert [(w.why, w.by, w.said, w.expected_by) for w in watched] == [
        ("on", None, None, NOW + HOUR + HOURLY.alarm_after),
        ("paused", "alice", "trop de messages", NOW + 3 * HOUR + HOURLY.alarm_after),
    ]


async def test_a_clean_stop_gives_a_run_back_between_two_batches(bench: Bench) -> None:
    stopping = asyncio.Event()

    async def stop(number: int) -> None:
        stopping.set()

    teller = Teller("hourly", stop)
    engine = bench.engine(teller)
    engine._is_stopping = stopping.is_set
    await engine.tick()
    assert await bench.runs() == [(NOW, "planned", None, 1)]
    await drain(bench.engine(Teller("hourly", batches=teller.batches)))
    assert await bench.runs() == [(NOW, "done", None, 2)]


async def test_a_routine_that_is_switched_off_is_waited_for_no_more_and_later_makes_up_for_nothing(
    bench: Bench,
) -> None:
    await drain(bench.engine(Teller("hourly"), Teller("other")))
    bench.clock.now += 10 * HOUR
    await drain(bench.engine(Teller("other")))
    bench.clock.now += 10 * HOUR
    await drain(bench.engine(Teller("hourly"), Teller("other")))
    rows = await bench.world.rows(
        "scheduler", "select data from outbox where type = $1 order by seq", RoutineWatched.type
    )
    watched = [RoutineWatched.from_bytes(r["data"]) for r in rows]
    said = [(w.why, w.expected_by is None) for w in watched if w.routine == "hourly"]
    assert said == [("on", False), ("off", True), ("on", False)]
    hourly = await bench.world.rows(
        "scheduler", "select due_at from runs where routine = 'hourly' order by 1"
    )
    assert [row["due_at"] for row in hourly] == [NOW, NOW + 20 * HOUR]


async def test_a_routine_of_each_moment_does_not_tell_every_run(bench: Bench) -> None:
    routine = replace(HOURLY, schedule=Every(timedelta(seconds=1)))
    engine = bench.engine(Teller("hourly"), routine=routine)
    for _ in range(60):
        bench.clock.now += timedelta(seconds=1)
        await drain(engine)
    assert await bench.facts(RoutineRan.type) in (2, 3)
