"""What will be told, to whom, before it is: behind the key, and changing nothing."""

from __future__ import annotations

from datetime import timedelta

import httpx
from fastapi import FastAPI

from libs.common.service import Door
from libs.common.signup_steps import SIGNUP_STEPS
from services.scheduler import queries
from services.scheduler.app import create_app
from tests.integration.scheduler.builders import (
    KEY,
    HandClock,
    heard,
    registered,
    scheduler_database,
    scheduler_settings,
)
from tests.world import World

NAMES = [step.name for step in SIGNUP_STEPS]
HEADERS = {"X-Api-Key": KEY}
HTTP_ONLY = frozenset({Door.HTTP})


def forecast_app(world: World, **overrides: object) -> FastAPI:
    return create_app(scheduler_settings(world, **overrides), doors=HTTP_ONLY, clock=HandClock())


async def test_without_the_key_the_forecast_is_closed(world: World) -> None:
    async with world.running(forecast_app(world)) as http:
        assert (await http.get("/internal/scheduler/forecast")).status_code == 401
        for key in ("", KEY + "x", "é"):
            answer = await http.get("/internal/scheduler/forecast", headers={b"X-Api-Key": key.encode()})
            assert answer.status_code == 401


async def test_with_no_key_configured_no_key_opens(world: World) -> None:
    async with world.running(forecast_app(world, interne_apikey=None)) as http:
        for key in ("", "None", KEY):
            answer = await http.get("/internal/scheduler/forecast", headers={"X-Api-Key": key})
            assert answer.status_code == 401


async def test_the_forecast_lists_who_will_be_told_soonest_first(world: World) -> None:
    soon, later, much_later, gone = (
        registered(ago=timedelta(hours=hours)) for hours in (1.9, 0.5, -100, 24 * 400)
    )
    customer = registered(ago=timedelta(hours=1))
    async with scheduler_database(world) as database, database.begin() as uow:
        await queries.fold_registered(
            uow.session,
            [heard(event) for event in (later, gone, soon, customer, much_later)],
        )
        await queries.fold_subscribed(uow.session, [(customer.company_id, customer.registered_at)])
    async with world.running(forecast_app(world)) as http:
        answer = (await http.get("/internal/scheduler/forecast", params={"days": 1}, headers=HEADERS)).json()
        assert [each["company_id"] for each in answer["coming"]] == [
            str(soon.company_id),
            str(later.company_id),
        ]
        assert answer["coming"][0]["email"] == soon.email
        assert answer["next"] is None
        in_a_week = [soon, later, soon, later, much_later, much_later, soon, later]
        steps = [0, 0, 1, 1, 0, 1, 2, 2]
        assert await pages(http) == [
            (str(event.company_id), NAMES[step]) for event, step in zip(in_a_week, steps, strict=True)
        ]
    assert await world.rows("scheduler", "select from occurrences") == []
    assert await world.rows("scheduler", "select from outbox") == []


async def pages(http: httpx.AsyncClient) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    params: dict[str, str | int] = {"days": 7, "limit": 1}
    while True:
        answer = (await http.get("/internal/scheduler/forecast", params=params, headers=HEADERS)).json()
        found.extend((each["company_id"], each["step"]) for each in answer["coming"])
        if answer["next"] is None:
            return found
        params |= answer["next"]


async def test_a_forecast_that_cannot_be_is_refused(world: World) -> None:
    wrong = ({"days": "0"}, {"days": "400"}, {"days": "nan"}, {"limit": "0"}, {"days": "x"})
    async with world.running(forecast_app(world)) as http:
        for params in wrong:
            answer = await http.get("/internal/scheduler/forecast", params=params, headers=HEADERS)
            assert answer.status_code == 422, params
