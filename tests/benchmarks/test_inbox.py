"""From stored Stripe events to facts in the outbox, against the bare inbox: one UPDATE an event."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from statistics import median

import asyncpg
import pytest

from libs.common import inbox
from libs.common.database import Database
from libs.common.envelope import Envelope
from libs.common.events.stripe import StripeEventReceived
from libs.common.worker import Worker
from services.billing import handlers
from services.billing.settings import BillingSettings
from tests.builders.stripe_events import body_of, event, invoice
from tests.world import World

PAIRS = 5
EVENTS = 2000

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

_BARE_CLAIM = """
    select seq from inbox i where status = 'pending' and due_at <= now() and not exists (
        select from inbox o where o.status = 'pending' and o.key = i.key and o.seq < i.seq)
    order by seq limit $1 for update skip locked
"""


async def fill(database: Database, tag: str) -> None:
    arrivals = []
    for number in range(EVENTS):
        thing = invoice(f"in_{tag}{number}", customer=f"cus_{tag}{number}", status="paid", amount_paid=2990)
        body = body_of(event("invoice.paid", thing, id_=f"evt_{tag}{number}"))
        received = StripeEventReceived.from_bytes(body)
        envelope = Envelope(
            received.event_id, received.type, "/stripe", received.key, datetime.now(UTC), body
        )
        arrivals.append(inbox.Arrival("stripe.events", 0, number, envelope))
    for start in range(0, EVENTS, 500):
        async with database.begin() as uow:
            await inbox.add(uow.session, arrivals[start : start + 500])


async def ours(database: Database, settings: BillingSettings) -> float:
    """Events a second, each to an InvoicePaid in the outbox."""
    worker = Worker(handlers.router, database, settings)

    async def work() -> None:
        while await worker.work():
            pass

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(settings.inbox_workers)))
    return EVENTS / (time.perf_counter() - started)


async def bare(url: str, settings: BillingSettings) -> float:
    """Events a second of a worker that knows nothing: claim, one UPDATE each, done."""

    async def work(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        while True:
            async with connection.transaction():
                rows = await connection.fetch(_BARE_CLAIM, settings.inbox_batch)
                for row in rows:
                    await connection.execute("update counters set n = n + 1 where id = $1", row["seq"] % 1000)
                done = "update inbox set status = 'done', done_at = now() where seq = any($1::bigint[])"
                await connection.execute(done, [row["seq"] for row in rows])
            if not rows:
                return

    options = {"search_path": "billing"}
    connection = await asyncpg.connect(url, server_settings=options)
    started = time.perf_counter()
    # One connection alone: several would deadlock on the counters, and that would be what is measured.
    await work(connection)
    rate = EVENTS / (time.perf_counter() - started)
    await connection.close()
    return rate


async def test_the_worker_against_the_bare_inbox(world: World) -> None:
    settings = world.settings(
        BillingSettings, stripe_sk="sk_test_1", stripe_webhook_secrets="whsec_1", inbox_batch=50
    )
    database = Database(settings.service_database_url("billing"), service="billing", teller="billing")
    await world.rows("billing", "create table counters as select id, 0 as n from generate_series(0, 999) id")
    await world.rows("billing", "create index on counters (id)")
    await fill(database, "warm")
    await ours(database, settings)
    pairs = []
    for number in range(PAIRS):
        await fill(database, f"o{number}_")
        mine = await ours(database, settings)
        await fill(database, f"b{number}_")
        pairs.append((mine, await bare(world.database_url, settings)))
    await database.close()
    told = await world.rows("billing", "select count(*) as n from outbox")
    assert told[0]["n"] == EVENTS * (PAIRS + 1), "every event told its fact"
    ratio = median(a / b for a, b in pairs)
    print(
        f"worker {median(a for a, _ in pairs):.0f}/s, bare inbox {median(b for _, b in pairs):.0f}/s, "
        f"ratio {ratio:.2f} (median of {PAIRS} pairs)"
    )
    assert ratio >= 0.25
