"""From `stripe.events` to facts on `billing.events`, against the bare inbox: same tables, one UPDATE each."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from statistics import median

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer

from libs.common import inbox
from libs.common.database import Database
from libs.common.envelope import Envelope
from libs.common.events.stripe import StripeEventReceived
from libs.common.producer import Producer
from libs.common.settings import CommonSettings
from libs.common.telemetry import new_traceparent
from tests.benchmarks.conftest import Note
from tests.benchmarks.processes import service, until_answers
from tests.builders.stripe_events import body_of, event, invoice
from tests.servers import Servers
from tests.world import World

PAIRS = 5
EVENTS = 3000
BATCH = 50

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

_BARE_CLAIM = """
    select seq from inbox i where status = 'pending' and due_at <= now() and not exists (
        select from inbox o where o.status = 'pending' and o.key = i.key and o.seq < i.seq)
    order by seq limit $1 for update skip locked
"""


def payments(tag: str) -> list[Envelope]:
    """Paid invoices of as many customers: each deserves a fact."""
    made = []
    for number in range(EVENTS):
        thing = invoice(f"in_{tag}{number}", customer=f"cus_{tag}{number}", status="paid", amount_paid=2990)
        body = body_of(event("invoice.paid", thing, id_=f"evt_{tag}{number}"))
        received = StripeEventReceived.from_bytes(body)
        made.append(
            Envelope(
                received.event_id,
                received.type,
                "/stripe",
                received.key,
                datetime.now(UTC),
                body,
                traceparent=new_traceparent(),
            )
        )
    return made


async def ours(producer: Producer, facts: AIOKafkaConsumer, tag: str) -> float:
    """Events a second, from the first append to `stripe.events` to the last fact on `billing.events`."""
    made = payments(tag)
    started = time.perf_counter()
    await producer.append_all([("stripe.events", envelope) for envelope in made])
    told: set[str] = set()
    while len(told) < EVENTS:
        for records in (await facts.getmany(timeout_ms=100)).values():
            envelopes = [Envelope.read(r.key, r.value, r.headers) for r in records]
            told.update(str(e.event_id) for e in envelopes if e.type == "billing.invoice_paid.v1")
    return EVENTS / (time.perf_counter() - started)


async def bare(database: Database, url: str, tag: str) -> float:
    """Events a second of a worker that knows nothing: claim, one UPDATE each, done."""
    arrivals = [inbox.Arrival("bare", 0, n, envelope) for n, envelope in enumerate(payments(tag))]
    connection = await asyncpg.connect(url, server_settings={"search_path": "billing"})
    async with database.begin() as uow:
        await inbox.add(uow.session, arrivals)
    started = time.perf_counter()
    while True:
        async with connection.transaction():
            rows = await connection.fetch(_BARE_CLAIM, BATCH)
            for row in rows:
                await connection.execute("update counters set n = n + 1 where id = $1", row["seq"] % 1000)
            done = "update inbox set status = 'done', done_at = now() where seq = any($1::bigint[])"
            await connection.execute(done, [row["seq"] for row in rows])
        if not rows:
            break
    rate = EVENTS / (time.perf_counter() - started)
    await connection.close()
    return rate


async def test_the_worker_against_the_bare_inbox(world: World, servers: Servers, note: Note) -> None:
    settings = world.settings(CommonSettings)
    producer = Producer(settings, client_id="benchmark")
    facts = AIOKafkaConsumer(
        f"{world.prefix}billing.events", bootstrap_servers=settings.kafka_bootstrap_servers
    )
    await asyncio.gather(producer.start(), facts.start())
    keys = {"stripe_sk": "sk_test_1", "stripe_webhook_secrets": "whsec_1", "inbox_batch": str(BATCH)}
    mine: list[float] = []
    async with World.fresh(servers) as empty:
        database = Database(
            empty.settings(CommonSettings).service_database_url("billing"),
            service="billing",
            teller="billing",
        )
        await empty.rows(
            "billing", "create table counters as select id, 0 as n from generate_series(0, 999) id"
        )
        await empty.rows("billing", "create index on counters (id)")
        with service("billing", world, servers, "--doors", "kafka", **keys) as port:
            await until_answers(port, "/readyz", 200)
            await ours(producer, facts, "warm")
            floors: list[float] = []
            for number in range(PAIRS):
                mine.append(await ours(producer, facts, f"o{number}_"))
                floors.append(await bare(database, empty.database_url, f"b{number}_"))
        await database.close()
    await asyncio.gather(producer.stop(), facts.stop())
    ratio = median(a / b for a, b in zip(mine, floors, strict=True))
    seen = f"{ratio:.2f} ({median(mine):.0f}/s; bare {median(floors):.0f}/s)"
    note("`stripe.events` to facts on `billing.events`, ratio to a bare inbox", "≥ 0.25, aim 1,000/s", seen)
    assert ratio >= 0.25
