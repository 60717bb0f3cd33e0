"""Stored Stripe events are kept for 90 days, and longer where somebody still needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.database import Database
from libs.common.events.billing import InvoicePaid
from libs.common.events.directory import StripeEventReplayRequested
from libs.common.events.stripe import StripeEventReceived
from libs.common.housekeeping import Housekeeping, Keeping
from services.billing import queries
from services.billing.app import create_app
from services.billing.domain import walk
from services.billing.settings import BillingSettings
from tests.builders.stripe_events import body_of, event, invoice
from tests.world import World, until

STRIPE = {
    "stripe_sk": "sk_test_1",
    "stripe_webhook_secrets": "whsec_1",
    "stripe_api_base": "http://127.0.0.1:9",
}

_ADD = """
    insert into stripe_events (stripe_event_id, event_id, type, stripe_customer_id, body, created_at,
                               received_at, last_offset, worked_at)
    select $1 || n, gen_random_uuid(), 'invoice.updated', $2, '{}', at, at, n, case when $4 then at end
    from generate_series(1, $5) n, lateral (select now() - make_interval(days => $3) as at) a
"""


async def add(
    world: World, name: str, *, days: int, customer: str = "cus_1", worked: bool = True, count: int = 1
) -> None:
    await world.rows("billing", _ADD, name, customer, days, worked, count)


async def add_case(world: World, customer: str, state: str) -> None:
    await world.rows(
        "billing",
        """insert into dunning_cases (invoice_id, stripe_customer_id, company_id, state, attempt_count,
                                      opened_at, causation_id)
           values ('in_of_' || $1, $1, gen_random_uuid(), $2, 1, now() - interval '100 days',
                   gen_random_uuid())""",
        customer,
        state,
    )


async def add_request(world: World, data: bytes, status: str) -> None:
    await world.rows(
        "billing",
        """insert into inbox (event_id, type, source, key, topic, partition, "offset", data, occurred_at,
                              status)
           values (gen_random_uuid(), $1, '/x', 'k', 'directory.events', 0, 1, $2, now(), $3)""",
        StripeEventReplayRequested.type,
        data,
        status,
    )


def request_of(stripe_event_id: str) -> bytes:
    return StripeEventReplayRequested(
        stripe_event_id=stripe_event_id,
        with_effects=True,
        requested_by="somebody",
        requested_at=datetime.now(UTC),
    ).to_bytes()


async def left(world: World) -> set[str]:
    return {row["stripe_event_id"] for row in await world.rows("billing", "select * from stripe_events")}


@asynccontextmanager
async def housekeeping(world: World, *, batch: int) -> AsyncIterator[Housekeeping]:
    settings = world.settings(BillingSettings, **STRIPE)
    database = Database(settings.service_database_url("billing"), service="billing", teller="billing")
    keeping = Keeping("stripe_events", settings.stripe_events_kept_days, queries.events.delete_old_events)
    try:
        yield Housekeeping(database, [keeping], batch=batch)
    finally:
        await database.close()


async def one_round(world: World, *, batch: int = 2) -> None:
    async with housekeeping(world, batch=batch) as tidying:
        while await tidying.tidy():
            pass


async def test_what_nobody_needs_goes_after_90_days(world: World) -> None:
    await add(world, "evt_old_", days=91, count=9)
    await add(world, "evt_older_", days=200, count=5)
    await add(world, "evt_young_", days=89, count=3)
    await one_round(world)
    assert await left(world) == {"evt_young_1", "evt_young_2", "evt_young_3"}


async def test_what_was_never_worked_stays(world: World) -> None:
    await add(world, "evt_unworked_", days=300, worked=False, count=5)
    await add(world, "evt_old_", days=91, count=5)
    await one_round(world)
    assert await left(world) == {f"evt_unworked_{n}" for n in range(1, 6)}


async def test_the_events_of_whoever_owes_stay_until_the_case_closes(world: World) -> None:
    for state in ("attempting", "waiting", "exhausted"):
        await add_case(world, f"cus_{state}", state)
        await add(world, f"evt_{state}_", days=120, customer=f"cus_{state}", count=2)
    await add_case(world, "cus_closed", "closed")
    await add(world, "evt_closed_", days=120, customer="cus_closed", count=2)
    await one_round(world)
    kept = {f"evt_{state}_{n}" for state in ("attempting", "waiting", "exhausted") for n in (1, 2)}
    assert await left(world) == kept
    await world.rows("billing", "update dunning_cases set state = 'closed'")
    await one_round(world)
    assert await left(world) == set()


async def test_an_event_that_somebody_wants_worked_again_waits_for_that(world: World) -> None:
    for name in ("evt_pending_", "evt_dead_", "evt_done_"):
        await add(world, name, days=120)
    await add_request(world, request_of("evt_pending_1"), "pending")
    await add_request(world, request_of("evt_dead_1"), "dead")
    await add_request(world, request_of("evt_done_1"), "done")
    await add_request(world, b"\xff not even JSON", "dead")
    await one_round(world)
    assert await left(world) == {"evt_pending_1", "evt_dead_1"}


async def test_an_event_under_work_is_passed_over(world: World) -> None:
    """Nobody waits: neither the round, nor whoever holds the row."""
    await add(world, "evt_", days=120, count=4)
    settings = world.settings(BillingSettings, **STRIPE)
    database = Database(settings.service_database_url("billing"), service="billing", teller="billing")
    async with database.begin() as uow:
        await queries.events.note_outcomes(uow.session, {"evt_2": "replayed"})
        await one_round(world)
        assert await left(world) == {"evt_2"}
    await one_round(world)
    assert await left(world) == set()
    await database.close()


async def test_webhooks_are_worked_once_while_thousands_of_old_events_go(world: World) -> None:
    await add(world, "evt_old_", days=120, count=4000)
    await add_case(world, "cus_owes", "exhausted")
    await add(world, "evt_kept_", days=120, customer="cus_owes", count=50)
    settings = world.settings(BillingSettings, **STRIPE, housekeeping_seconds=0.05, housekeeping_batch=20)
    bodies = [
        body_of(
            event(
                "invoice.paid",
                invoice(f"in_{n}", customer=f"cus_{n}", status="paid", amount_paid=2990, amount_remaining=0),
                id_=f"evt_new_{n}",
            )
        )
        for n in range(200)
    ]
    received = [StripeEventReceived.from_bytes(body) for body in bodies]

    async def is_at_rest() -> bool:
        [row] = await world.rows(
            "billing",
            """select (select count(*) from stripe_events where worked_at is not null) as events,
                      (select count(*) from stripe_events where stripe_event_id like 'evt_old%') as old,
                      (select count(*) from outbox where told_at is null) as untold""",
        )
        return bool(row["events"] == 250 and row["old"] == 0 and row["untold"] == 0)

    async with world.running(create_app(settings)), world.running(create_app(settings)):
        for some in range(0, 200, 25):
            await world.tell_all(received[some : some + 25] * 2)
        await until(is_at_rest, seconds=60, what="everything worked, and the old ones gone")
    assert sorted(paid.invoice_id for paid in await world.told(InvoicePaid)) == sorted(
        f"in_{n}" for n in range(200)
    )
    rows = await world.rows("billing", "select times_received from stripe_events where body <> '{}'")
    assert [row["times_received"] for row in rows] == [2] * 200


def test_an_outbox_that_forgets_before_the_events_do_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="OUTBOX_KEPT_DAYS"):
        world.settings(BillingSettings, **STRIPE, stripe_events_kept_days=120, outbox_kept_days=100)


def test_what_stripe_still_lists_is_never_forgotten(world: World) -> None:
    """The walk through Stripe's list would take it for missing."""
    kept = timedelta(days=world.settings(BillingSettings, **STRIPE).stripe_events_kept_days)
    assert kept > walk.STRIPE_REMEMBERS
    with pytest.raises(ValueError, match="stripe_events_kept_days"):
        world.settings(BillingSettings, **STRIPE, stripe_events_kept_days=30)
