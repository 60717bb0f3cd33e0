"""The routine `check_cards`: each morning of Paris told once, by however many schedulers; the latest only."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from libs.common.events.scheduler import CardCheckDue
from services.scheduler.app import create_app
from tests.integration.scheduler.builders import HandClock, scheduler_settings
from tests.world import World, until


async def mornings(world: World) -> list[date]:
    return [fact.due_on for fact in await world.told(CardCheckDue)]


async def until_told(world: World, *days: date) -> None:
    async def look() -> bool:
        return await mornings(world) == list(days)

    await until(look, what=f"the mornings {days}")


async def test_two_schedulers_tell_each_morning_of_paris_once(world: World) -> None:
    """Nine o'clock is at eight in UTC in winter; the last evening of a month is still that month."""
    clock = HandClock(datetime(2026, 11, 30, 7, 59, 59, tzinfo=UTC))
    first, second = (create_app(scheduler_settings(world), clock=clock) for _ in range(2))
    async with world.running(first), world.running(second):
        await until_told(world, date(2026, 11, 29))
        clock.now = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
        await until_told(world, date(2026, 11, 29), date(2026, 11, 30))
        clock.now = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)  # December in Paris, before its first morning
        await world.tell(CardCheckDue(due_on=date(2026, 1, 1)))  # something to wait for
        await until_told(world, date(2026, 11, 29), date(2026, 11, 30), date(2026, 1, 1))
        clock.now = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)

        async def is_told() -> bool:
            return sorted(await mornings(world))[-1] == date(2026, 12, 1)

        await until(is_told, what="the first of December")
    assert len(await mornings(world)) == 4


async def test_a_scheduler_that_was_off_for_days_tells_the_latest_morning_only(world: World) -> None:
    clock = HandClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
    async with world.running(create_app(scheduler_settings(world), clock=clock)):
        await until_told(world, date(2026, 11, 20))
    clock.now += timedelta(days=40)
    async with world.running(create_app(scheduler_settings(world), clock=clock)):
        await until_told(world, date(2026, 11, 20), date(2026, 12, 30))
