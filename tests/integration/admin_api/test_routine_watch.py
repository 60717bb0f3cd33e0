"""The watch over the scheduler: a routine that did not run in time alarms once, and from another process."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.events.directory import RoutineSilent
from libs.common.events.scheduler import RoutineRan, RoutineWatched
from services.admin_api.app import create_app
from services.admin_api.settings import AdminApiSettings
from tests.integration.scheduler.builders import HandClock
from tests.world import World, until

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def settings(world: World) -> AdminApiSettings:
    return world.settings(
        AdminApiSettings, interne_apikey="an-internal-key-for-tests", routine_watch_seconds=0.2
    )


def ran(routine: str, at: datetime, expected_by: datetime) -> RoutineRan:
    return RoutineRan(
        routine=routine, due_at=at, trigger="schedule", outcome="done", finished_at=at, told=1, skipped=0,
        expected_by=expected_by,
    )  # fmt: skip


async def known(world: World) -> dict[str, str]:
    return {
        r["routine"]: r["what"] for r in await world.rows("admin_api", "select routine, what from routines")
    }


async def silences(world: World) -> list[tuple[str, datetime]]:
    return [(fact.routine, fact.expected_by) for fact in await world.told(RoutineSilent)]


async def test_a_run_that_is_missing_alarms_once_by_two_that_watch(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "relance.admin_api")
    clock = HandClock(NOW)
    first, second = (create_app(settings(world), clock=clock) for _ in range(2))
    async with world.running(first) as http, world.running(second):
        await world.tell(ran("late", NOW, NOW + HOUR))
        await world.tell(ran("in_time", NOW, NOW + HOUR))
        await world.tell(ran("paused", NOW, NOW + HOUR))
        await world.tell(
            RoutineWatched(routine="paused", at=NOW, expected_by=None, why="paused", by="a", said="b"),
            revision=2,
        )
        expected = {"late": "done", "in_time": "done", "paused": "paused"}

        async def all_heard() -> bool:
            return await known(world) == expected

        await until(all_heard, what="the runs")
        await world.tell(ran("in_time", NOW + HOUR, NOW + 2 * HOUR), revision=2)

        async def heard_again() -> bool:
            rows = await world.rows(
                "admin_api", "select 1 from routines where expected_by = $1", NOW + 2 * HOUR
            )
            return bool(rows)

        await until(heard_again, what="the second run")
        clock.now = NOW + HOUR + timedelta(minutes=1)
        assert await until(lambda: silences(world), what="the alarm") == [("late", NOW + HOUR)]
        metrics = (await http.get("/metrics")).text
        assert 'relance_routine_overdue_seconds{routine="late"} 60.0' in metrics
        assert 'relance_routine_overdue_seconds{routine="paused"} 0.0' in metrics
        clock.now = NOW + 2 * HOUR + timedelta(minutes=1)

        async def both() -> bool:
            return len(await silences(world)) == 2

        await until(both, what="the alarm of the other one")
    assert await silences(world) == [("late", NOW + HOUR), ("in_time", NOW + 2 * HOUR)]
    lines = [record.getMessage() for record in caplog.records]
    assert len([line for line in lines if "routine late did not run" in line]) == 1


async def test_who_was_off_itself_reads_first_what_was_told_meanwhile(world: World) -> None:
    clock = HandClock(NOW)
    async with world.running(create_app(settings(world), clock=clock)):
        await world.tell(ran("daily", NOW, NOW + HOUR))

        async def heard() -> bool:
            return bool(await known(world))

        await until(heard, what="the run")
    clock.now = NOW + 10 * HOUR
    await world.tell(ran("daily", NOW + HOUR, NOW + 20 * HOUR), revision=2)
    await world.tell(ran("other", NOW, NOW + HOUR))
    patient = settings(world).model_copy(update={"routine_watch_seconds": 3.0})
    async with world.running(create_app(patient, clock=clock)):
        assert await until(lambda: silences(world), what="the alarm of another") == [("other", NOW + HOUR)]
