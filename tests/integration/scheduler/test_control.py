"""What people ask of routines: by HTTP behind the key, and by the command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from click.testing import CliRunner, Result
from fastapi import FastAPI

from libs.common.events.scheduler import CutoffDue, StripeReconciliationDue
from libs.common.service import Door
from services.cli import relance
from services.scheduler import handlers, queries
from services.scheduler.app import create_app
from services.scheduler.domain import PARIS
from tests.integration.scheduler.builders import (
    KEY,
    NOW,
    HandClock,
    drain,
    heard,
    make_engine,
    registered,
    scheduler_database,
    scheduler_settings,
    subscribed,
)
from tests.integration.scheduler.test_check_unpaid import fold, morning, unpaid
from tests.world import World

HEADERS = {"X-Api-Key": KEY}
HTTP_ONLY = frozenset({Door.HTTP})
BY = {"by": "alice", "why": "pour voir"}
DAY = timedelta(days=1)


@asynccontextmanager
async def door(world: World, clock: HandClock, **overrides: object) -> AsyncIterator[httpx.AsyncClient]:
    app: FastAPI = create_app(scheduler_settings(world, **overrides), doors=HTTP_ONLY, clock=clock)
    async with world.running(app) as http:
        http.headers.update(HEADERS)
        http.base_url = httpx.URL("http://service/internal/scheduler")
        yield http


async def work(world: World, moment: datetime, **overrides: object) -> None:
    """What a scheduler does that wakes at this moment."""
    async with scheduler_database(world) as database:
        database.clock = HandClock(moment)
        await drain(make_engine(database, scheduler_settings(world, **overrides)))


async def test_every_door_is_closed_without_the_key(world: World) -> None:
    async with door(world, HandClock()) as http:
        del http.headers["X-Api-Key"]
        for path in ("routines", "runs", "forecast"):
            assert (await http.get(path)).status_code == 401
        for wish in ("pause", "resume", "run", "backfill"):
            assert (await http.post(f"routines/check_unpaid/{wish}", json=BY)).status_code == 401


async def test_routines_are_listed_with_their_next_and_last_run(world: World) -> None:
    await work(world, NOW)
    async with door(world, HandClock(NOW + timedelta(minutes=1))) as http:
        listed = {each["name"]: each for each in (await http.get("routines")).json()}
        runs = (await http.get("runs", params={"routine": "reconcile_stripe"})).json()
    assert set(listed) == {
        "check_cards", "check_stripe_enterprise_subscription", "check_unpaid", "reconcile_stripe",
        "signup_routine",
    }  # fmt: skip
    walk = listed["reconcile_stripe"]
    assert (walk["schedule"], walk["next_at"]) == ("every 10 minutes", "2026-11-23T10:10:00Z")
    assert (walk["last"]["status"], walk["last"]["told"]) == ("done", 1)
    off = listed["check_stripe_enterprise_subscription"]
    assert (off["is_on"], off["next_at"], off["last"]) == (False, None, None)
    assert [(r["due_at"], r["trigger"], r["status"], r["told"]) for r in runs] == [
        ("2026-11-23T10:00:00Z", "schedule", "done", 1)
    ]


async def test_a_paused_routine_is_neither_run_nor_backfilled_until_it_is_resumed(world: World) -> None:
    await work(world, NOW - 3 * DAY)
    clock = HandClock()
    span = {"since": (NOW - 2 * DAY).isoformat(), "until": NOW.isoformat(), **BY}
    async with door(world, clock) as http:
        paused = await http.post("routines/check_unpaid/pause", json={"by": "alice", "why": "panne"})
        assert paused.status_code == 204
        for wish, body in (
            ("run", BY),
            ("backfill", {**span, "is_preview": False}),
            ("backfill", {**span, "is_preview": True}),
        ):
            refused = await http.post(f"routines/check_unpaid/{wish}", json=body)
            assert refused.status_code == 409
            assert "check_unpaid is paused since" in refused.json()["detail"]
            assert (
                "by alice (panne): `relance scheduler resume check_unpaid` first" in refused.json()["detail"]
            )
        [listed] = [r for r in (await http.get("routines")).json() if r["name"] == "check_unpaid"]
        assert listed["pause"] == {
            "from_at": "2026-11-23T10:00:00Z", "until_at": None, "by": "alice", "why": "panne",
        }  # fmt: skip
        assert (await http.post("routines/check_unpaid/resume", json={"by": "bob"})).status_code == 204
        again = await http.post("routines/check_unpaid/resume", json={"by": "bob"})
        assert (again.status_code, again.json()["detail"]) == (409, "check_unpaid is not paused")
        assert (await http.post("routines/check_unpaid/run", json=BY)).status_code == 202
    assert await world.rows("scheduler", "select paused_by, resumed_by from pauses") == [
        {"paused_by": "alice", "resumed_by": "bob"}
    ]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("chek_unpaid/run", BY, "there is no routine 'chek_unpaid'; there are check_cards"),
        ("check_stripe_enterprise_subscription/run", BY, "is off: a setting switches it on"),
        ("check_unpaid/pause", {**BY, "until": "2026-11-23T09:00:00Z"}, "that is past"),
        (
            "check_unpaid/backfill",
            {**BY, "since": "2026-11-23T09:00:00Z", "until": "2026-11-22T09:00:00Z"},
            "ends before it begins",
        ),
        (
            "check_unpaid/backfill",
            {**BY, "since": "2026-11-23T09:00:00Z", "until": "2026-11-30T09:00:00Z"},
            "yet to come",
        ),
        (
            "check_unpaid/backfill",
            {**BY, "since": "2026-11-21T00:00:00Z", "until": "2026-11-22T09:00:00Z"},
            "was never due in that range",
        ),
        (
            "signup_routine/backfill",
            {**BY, "since": "2026-01-21T00:00:00Z", "until": "2026-11-22T09:00:00Z"},
            "more than 1000 times",
        ),
    ],
)
async def test_what_cannot_be_is_refused_with_what_and_where(
    world: World, path: str, body: dict[str, object], said: str
) -> None:
    async with door(world, HandClock()) as http:
        answer = await http.post(f"routines/{path}", json=body)
    assert (answer.status_code, said in answer.json()["detail"]) == (409, True), answer.json()


async def test_a_moment_without_its_zone_or_a_wish_without_a_reason_is_refused(world: World) -> None:
    async with door(world, HandClock()) as http:
        span = {"since": "2026-11-20T00:00:00", "until": "2026-11-21T00:00:00Z", **BY}
        assert (await http.post("routines/check_unpaid/backfill", json=span)).status_code == 422
        assert (
            await http.post("routines/check_unpaid/run", json={"by": "alice", "why": ""})
        ).status_code == 422


async def test_a_run_by_hand_tells_what_is_due_and_nothing_twice(world: World) -> None:
    company_id = uuid4()
    await fold(world, [heard(unpaid(company_id, deadline_at=NOW - DAY))])
    await work(world, morning("2026-11-23"))
    clock = HandClock(NOW)
    async with door(world, clock) as http:
        asked = (await http.post("routines/check_unpaid/run", json=BY)).json()
        assert asked == {"due_at": "2026-11-23T10:00:00Z"}
    await work(world, NOW)
    runs = await world.rows(
        "scheduler",
        """select trigger, triggered_by, triggered_why, status, told from runs
           where routine = 'check_unpaid' order by due_at""",
    )
    assert [tuple(row.values()) for row in runs] == [
        ("schedule", None, None, "done", 1),
        ("manual", "alice", "pour voir", "done", 0),
    ]
    assert len(await facts(world, CutoffDue.type)) == 1


async def facts(world: World, event_type: str) -> list[dict[str, Any]]:
    return await world.rows("scheduler", "select key from outbox where type = $1", event_type)


async def test_a_backfill_is_previewed_then_works_what_was_never_worked(world: World) -> None:
    company_id = uuid4()
    await fold(world, [heard(unpaid(company_id, deadline_at=NOW - 20 * DAY))])
    await work(world, morning("2026-11-16"))
    await work(world, morning("2026-11-19"))
    span = {
        "since": morning("2026-11-16").isoformat(), "until": morning("2026-11-19").isoformat(), **BY,
    }  # fmt: skip
    async with door(world, HandClock()) as http:
        seen = (await http.post("routines/check_unpaid/backfill", json=span)).json()
        assert [(s["due_at"][:10], s["state"], s["is_worked"], s["told"]) for s in seen] == [
            ("2026-11-16", "done", False, None),
            ("2026-11-17", "skipped", True, 1),
            ("2026-11-18", "skipped", True, 1),
            ("2026-11-19", "done", False, None),
        ]
        assert len(await facts(world, CutoffDue.type)) == 2, "a preview tells nothing"
        done = (await http.post("routines/check_unpaid/backfill", json={**span, "is_preview": False})).json()
        assert [s["is_worked"] for s in done] == [False, True, True, False]
    await work(world, NOW)
    days = sorted(
        fact["step"]
        for fact in await world.rows("scheduler", "select step from occurrences where step like 'cutoff:%'")
    )
    assert days == [f"cutoff:2026-11-{day}" for day in (16, 17, 18, 19, 23)]
    runs = await world.rows(
        "scheduler", "select due_at, status from runs where trigger = 'backfill' order by 1"
    )
    assert [(r["due_at"], r["status"]) for r in runs] == [
        (morning("2026-11-17"), "done"),
        (morning("2026-11-18"), "done"),
    ]


async def known(world: World) -> dict[str, UUID]:
    """A company that signed up, one that owes, one whose deadline is near, one with a subscription."""
    new = registered(ago=timedelta(hours=1))
    owing, late, customer = uuid4(), uuid4(), uuid4()
    await fold(
        world,
        [
            heard(unpaid(owing, "in_owing", deadline_at=NOW + 30 * DAY)),
            heard(unpaid(late, "in_late", deadline_at=NOW + DAY), at=NOW - 30 * DAY),
        ],
    )
    async with scheduler_database(world) as database, database.begin() as uow:
        await queries.fold_registered(uow.session, [heard(new)])
        event = subscribed(customer, at=NOW - DAY)
        await handlers.keep_subscriptions([heard(event)], uow.session)
    return {"new": new.company_id, "owing": owing, "late": late, "customer": customer}


async def test_the_forecast_covers_every_routine_that_can_say_and_tells_just_that(world: World) -> None:
    companies = await known(world)
    await work(world, NOW, check_stripe_enterprise_subscription=True)
    clock = HandClock(NOW)
    async with door(world, clock, check_stripe_enterprise_subscription=True) as http:
        foreseen = (await http.get("forecast", params={"days": 8})).json()["coming"]
        names = {company_id: name for name, company_id in companies.items()}
        lines = [(each["tells_at"], names[UUID(each["company_id"])], each["step"]) for each in foreseen]
        assert lines == [
            ("2026-11-23T11:00:00Z", "new", "signup_first_step"),
            ("2026-11-25T08:00:00Z", "late", "cutoff:2026-11-25"),
            ("2026-11-25T09:00:00Z", "new", "routineEmail2Days"),
            ("2026-11-26T08:00:00Z", "late", "cutoff:2026-11-26"),
            ("2026-11-27T08:00:00Z", "owing", "reminder_2:in_owing"),
            ("2026-11-27T08:00:00Z", "late", "cutoff:2026-11-27"),
            ("2026-11-30T08:00:00Z", "late", "cutoff:2026-11-30"),
            ("2026-11-30T09:00:00Z", "new", "routineEmail7Days"),
            ("2026-12-01T08:00:00Z", "owing", "reminder_3:in_owing"),
            ("2026-11-30T23:00:00Z", "customer", "check:sub_1"),
            ("2026-12-01T08:00:00Z", "late", "cutoff:2026-12-01"),
        ]
        assert await pages(http) == foreseen
        mine = (await http.get("forecast", params={"days": 8, "company_id": str(companies["owing"])})).json()
        assert [each["step"] for each in mine["coming"]] == ["reminder_2:in_owing", "reminder_3:in_owing"]
        assert mine["coming"][0]["why"] == "facture in_owing impayée depuis le 23/11/2026, avis n° 2"
    for at in sorted({datetime.fromisoformat(each["tells_at"]) for each in foreseen}):
        await work(world, at, check_stripe_enterprise_subscription=True)
    told = await world.rows(
        "scheduler", "select company_id, step from occurrences where status = 'told' and decided_at > $1", NOW
    )
    checks = [each for each in foreseen if each["step"].startswith("check:")]
    assert sorted((row["company_id"], row["step"]) for row in told) == sorted(
        (UUID(each["company_id"]), each["step"]) for each in foreseen if each not in checks
    )
    assert len(await facts(world, "scheduler.subscription_check_due.v1")) == len(checks) == 1


async def pages(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"days": 8, "limit": 2}
    while True:
        answer = (await http.get("forecast", params=params)).json()
        found.extend(answer["coming"])
        if answer["next"] is None:
            return found
        params |= answer["next"]


async def test_what_is_paused_is_foreseen_for_when_the_pause_ends_unless_it_is_too_late_then(
    world: World,
) -> None:
    await known(world)

    async def steps(http: httpx.AsyncClient) -> list[tuple[str, str]]:
        coming = (await http.get("forecast")).json()["coming"]
        return [(e["step"], e["tells_at"]) for e in coming if e["routine"] == "signup_routine"]

    async with door(world, HandClock(NOW)) as http:
        until = (NOW + 3 * DAY).isoformat()
        await http.post("routines/signup_routine/pause", json={**BY, "until": until})
        assert await steps(http) == [
            ("routineEmail2Days", "2026-11-26T10:00:00Z"),
            ("routineEmail7Days", "2026-11-30T09:00:00Z"),
        ]
        await http.post("routines/signup_routine/pause", json=BY)
        assert await steps(http) == []


@pytest.fixture
def command(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`relance …` in this world, in a process of nothing else."""
    settings = scheduler_settings(world)
    values = {
        "APP_ENV": "test",
        "APP_SECRET": settings.app_secret.get_secret_value(),
        "DATABASE_URL": world.database_url,
        "KAFKA_BOOTSTRAP_SERVERS": world.kafka_bootstrap_servers,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)

    async def run(*words: str, code: int = 0) -> str:
        import asyncio

        result: Result = await asyncio.to_thread(CliRunner().invoke, relance, ["scheduler", *words])
        assert result.exit_code == code, result.output
        return result.output

    return run


async def test_the_command_shows_pauses_runs_and_foresees(world: World, command: Any) -> None:
    now = datetime.now(UTC)
    event = registered(ago=timedelta(hours=0)).model_copy(update={"registered_at": now})
    async with scheduler_database(world) as database, database.begin() as uow:
        await queries.fold_registered(uow.session, [heard(event)])
    listed = await command("list")
    assert "check_unpaid" in listed
    assert "0 9 * * * (jours ouvrés)" in listed
    await command("pause", "signup_routine", "--why", "trop de messages", "--until", "2099-01-01T09:00")
    assert "EN PAUSE jusqu’au 01/01/2099 09:00" in await command("list")
    refused = await command("run", "signup_routine", "--why", "x", code=1)
    assert "signup_routine is paused since" in refused
    assert "signup_routine is paused since" in await command(
        "backfill", "signup_routine", "--from", "2026-01-01", "--to", "2026-01-02", code=1
    )
    await command("resume", "signup_routine")
    assert event.email in await command("forecast", "--days", "1")
    assert "rien à dire" in await command("forecast", "--days", "1", "--company", str(uuid4()))
    assert "passera pour" in await command("run", "reconcile_stripe", "--why", "panne", "--by", "bob")
    assert "manual par bob : panne" in await command("runs", "reconcile_stripe")
    assert "there is no routine 'x'" in await command("runs", "x", code=1)
    day = (now - DAY).astimezone(PARIS)
    span = ("--from", f"{day:%Y-%m-%dT%H:00}", "--to", f"{day:%Y-%m-%dT%H:30}")
    preview = await command("backfill", "reconcile_stripe", *span)
    assert "en tout : 4 faits, 0 écartés" in preview
    assert "rien n’a été fait" in preview
    assert "jamais passé" in await command("backfill", "reconcile_stripe", *span, "--yes", "--why", "panne")
    async with scheduler_database(world) as database:
        database.clock = HandClock(datetime.now(UTC))
        await drain(make_engine(database, scheduler_settings(world)))
    assert len(await facts(world, StripeReconciliationDue.type)) == 4 + 2
