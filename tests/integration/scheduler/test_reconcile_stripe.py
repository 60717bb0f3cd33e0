"""The routine `reconcile_stripe`: each moment told once, by however many schedulers; the latest only."""

from __future__ import annotations

from datetime import datetime, timedelta

from libs.common.events.scheduler import StripeReconciliationDue
from services.scheduler.app import create_app
from tests.integration.scheduler.builders import NOW, HandClock, scheduler_settings
from tests.world import World, until

TEN_MINUTES = timedelta(minutes=10)


async def moments(world: World) -> list[datetime]:
    return [fact.due_at for fact in await world.told(StripeReconciliationDue)]


async def test_two_schedulers_tell_each_moment_once(world: World) -> None:
    clock = HandClock(NOW + timedelta(minutes=3))
    first, second = (create_app(scheduler_settings(world), clock=clock) for _ in range(2))
    async with world.running(first), world.running(second):
        await until(lambda: moments(world), what="the first moment")
        for number in (1, 2):
            clock.now += TEN_MINUTES

            async def is_told(count: int = number + 1) -> bool:
                return len(await moments(world)) == count

            await until(is_told, what="the next moment")
    assert await moments(world) == [NOW, NOW + TEN_MINUTES, NOW + 2 * TEN_MINUTES]


async def test_a_scheduler_that_was_off_for_days_tells_the_latest_moment_only(world: World) -> None:
    clock = HandClock()
    async with world.running(create_app(scheduler_settings(world), clock=clock)):
        await until(lambda: moments(world), what="the first moment")
    clock.now += timedelta(days=40, minutes=7)
    async with world.running(create_app(scheduler_settings(world), clock=clock)):

        async def is_told() -> bool:
            return len(await moments(world)) > 1

        await until(is_told, what="the latest moment")
    assert await moments(world) == [NOW, NOW + timedelta(days=40)]
    runs = await world.rows(
        "scheduler",
        """select status, why, count(*) as n from runs where routine = 'reconcile_stripe'
           group by 1, 2 order by 1""",
    )
    assert [tuple(row.values()) for row in runs] == [
        ("done", None, 2),
        ("skipped", "superseded", 40 * 144 - 1),
    ], "each moment that was slept through is written down"


async def test_a_clock_that_is_behind_tells_nothing_older(world: World) -> None:
    ahead, behind = HandClock(NOW + timedelta(hours=1)), HandClock()
    async with world.running(create_app(scheduler_settings(world), clock=ahead)):
        await until(lambda: moments(world), what="the moment of the one that is ahead")
    async with world.running(create_app(scheduler_settings(world), clock=behind)):
        behind.now = NOW + timedelta(hours=1, minutes=10)

        async def is_told() -> bool:
            return len(await moments(world)) == 2

        await until(is_told, what="the next moment")
    assert await moments(world) == [NOW + timedelta(hours=1), NOW + timedelta(hours=1, minutes=10)]
