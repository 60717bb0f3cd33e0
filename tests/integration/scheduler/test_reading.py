"""What is due at T waits until everything told before T was read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.errors import TemporaryFailure
from libs.common.events.scheduler import SignupStepDue
from libs.common.service import Door
from services.scheduler import handlers, queries
from services.scheduler.app import create_app
from services.scheduler.domain import SIGNUP_ROUTINE
from services.scheduler.reading import Reading
from tests.integration.scheduler.builders import (
    NOW,
    HandClock,
    heard,
    make_engine,
    registered,
    scheduler_database,
    scheduler_settings,
    subscribed,
)
from tests.world import World, until

THREE_HOURS = timedelta(hours=3)


async def test_with_nothing_told_there_is_nothing_to_wait_for(world: World) -> None:
    assert await Reading(handlers.router, scheduler_settings(world)).read_up_to(NOW) == NOW


async def test_a_subscription_that_nobody_read_yet_holds_the_step_back(world: World) -> None:
    settings = scheduler_settings(world)
    event = registered(ago=THREE_HOURS)
    async with scheduler_database(world) as database:
        async with database.begin() as uow:
            await queries.fold_registered(uow.session, [heard(event)])
        await world.tell(subscribed(event.company_id))
        engine = make_engine(database, settings, names=[SIGNUP_ROUTINE])
        with pytest.raises(TemporaryFailure, match="1 messages"):
            await engine.tick()
        async with world.running(create_app(settings, doors=frozenset({Door.KAFKA}), clock=HandClock())):

            async def is_scanned() -> bool:
                try:
                    return await engine.tick() > 0
                except TemporaryFailure:
                    return False

            assert await until(is_scanned, what="the reader")
    assert await world.rows("scheduler", "select from occurrences") == []
    assert await world.told(SignupStepDue) == []


async def test_the_moment_waited_for_stays_until_it_is_reached(world: World) -> None:
    settings = scheduler_settings(world)
    reading = Reading(handlers.router, settings)
    await world.tell(registered(ago=THREE_HOURS))
    with pytest.raises(TemporaryFailure):
        await reading.read_up_to(NOW)
    async with world.running(create_app(settings, doors=frozenset({Door.KAFKA}))):

        async def reached() -> object:
            try:
                return await reading.read_up_to(NOW + timedelta(hours=1))
            except TemporaryFailure:
                return None

        assert await until(reached, what="the reader") == NOW
        assert await reading.read_up_to(NOW + timedelta(hours=1)) == NOW + timedelta(hours=1)
