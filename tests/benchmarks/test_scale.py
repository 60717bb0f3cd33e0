"""A webhook is worked as fast beside ten million stored ones as beside a hundred thousand.

Two databases on one PostgreSQL, filled with generated rows; the same load goes through each in turn, by the
real path: `stripe.events`, the reader, the worker, facts on `billing.events`. Run by `make bench-scale`.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import pytest
from aiokafka import AIOKafkaConsumer

from libs.common.envelope import Envelope
from libs.common.events.stripe import StripeEventReceived
from libs.common.producer import Producer
from libs.common.settings import CommonSettings
from libs.common.telemetry import new_traceparent
from libs.devstack.ports import free_port
from libs.devstack.postgres import EmbeddedPostgres
from tests.benchmarks.conftest import Note
from tests.benchmarks.processes import service, until_answers
from tests.benchmarks.stock import BYTES_AN_EVENT, EVENTS_AN_INVOICE, INVOICES_A_CUSTOMER, fill
from tests.builders.stripe_events import body_of, event, invoice
from tests.servers import Servers
from tests.servers.shared import FOLDER_VARIABLE, make_template
from tests.world import World, until

FEW, MANY = 10_000, 1_000_000
PAIRS = 5
NEW_PAID, OPEN_PAID, UPDATED, SUBSCRIPTIONS = 2000, 30, 500, 1000
EVENTS = NEW_PAID + OPEN_PAID + UPDATED + SUBSCRIPTIONS
# A quarter of the memory of a machine for such a database, which is PostgreSQL's own advice.
POSTGRES = {"shared_buffers": "3GB", "max_wal_size": "8GB"}
# Half of the stored events are older than that: it never runs out of work.
TIDYING = {"stripe_events_kept_days": "45", "housekeeping_seconds": "0.1"}
# As many in each run and on each side, so that both have as many events that must wait for one another.
CUSTOMERS = FEW // INVOICES_A_CUSTOMER

pytestmark = [pytest.mark.benchmark, pytest.mark.scale, pytest.mark.timeout(3600)]


class Side:
    """One of the two databases, its topics, and the load that it gets."""

    def __init__(self, world: World, servers: Servers, invoices: int) -> None:
        self._world = world
        self._servers = servers
        self._invoices = invoices
        self._random = random.Random(invoices)
        self._open: list[tuple[str, str]] = []
        # The same ones each time: only the first change of a subscription tells that it started.
        self._subscribers = self._random.sample(range(invoices // INVOICES_A_CUSTOMER), CUSTOMERS)
        self._loads = 0

    async def fill(self) -> None:
        await fill(self._world.database_url, self._invoices)
        rows = await self._world.rows(
            "billing", "select invoice_id, stripe_customer_id from invoices where status = 'open'"
        )
        self._open = [(row["invoice_id"], row["stripe_customer_id"]) for row in rows]
        self._random.shuffle(self._open)

    async def rate(self, **changed: str) -> float:
        """Events a second of a process that was started for this, once it is warm."""
        settings = self._world.settings(CommonSettings)
        producer = Producer(settings, client_id="benchmark")
        topic = f"{self._world.prefix}billing.events"
        facts = AIOKafkaConsumer(topic, bootstrap_servers=settings.kafka_bootstrap_servers)
        await asyncio.gather(producer.start(), facts.start())
        keys = {"stripe_sk": "sk_test_1", "stripe_webhook_secrets": "whsec_1", "inbox_batch": "50", **changed}
        try:
            with service("billing", self._world, self._servers, "--doors", "kafka,clock", **keys) as port:
                await until_answers(port, "/readyz", 200)
                await self._work(producer, facts, self._load(0.1))
                return await self._work(producer, facts, self._load(1))
        finally:
            await asyncio.gather(producer.stop(), facts.stop())

    async def has_deleted(self) -> bool:
        """Of the hundred oldest events some are of customers who owe, and stay."""
        oldest = [f"evt_{number:024}" for number in range(1, 101)]
        statement = "select count(*) as n from stripe_events where stripe_event_id = any($1)"
        [row] = await self._world.rows("billing", statement, oldest)
        return bool(row["n"] < len(oldest))

    async def _work(self, producer: Producer, facts: AIOKafkaConsumer, load: list[bytes]) -> float:
        """From the first append to the last fact told and the last event worked."""
        received = [StripeEventReceived.from_bytes(body) for body in load]
        records = [
            Envelope(
                each.event_id, each.type, "/stripe", each.key, datetime.now(UTC), body,
                traceparent=new_traceparent(),
            )
            for each, body in zip(received, load, strict=True)
        ]  # fmt: skip
        deserved = sum(not body.startswith(b'{"id": "evt_quiet') for body in load)
        started = time.perf_counter()
        await producer.append_all([("stripe.events", record) for record in records])
        told: set[str] = set()
        async with asyncio.timeout(30):
            while len(told) < deserved:
                for batch in (await facts.getmany(timeout_ms=50)).values():
                    envelopes = [Envelope.read(r.key, r.value, r.headers) for r in batch]
                    told.update(str(e.causation_id) for e in envelopes)
            await until(self._is_worked, what="the last event of a load")
        return len(load) / (time.perf_counter() - started)

    async def _is_worked(self) -> bool:
        return not await self._world.rows("billing", "select from inbox where status = 'pending' limit 1")

    def _load(self, share: float) -> list[bytes]:
        """New invoices paid, unpaid ones paid at last, old ones and subscriptions changed, all of customers
        that have been there for years."""
        self._loads += 1
        # Each load is of a later minute: two of one second would be Stripe's to settle.
        tag, created = f"{self._invoices}x{self._loads}x", int(time.time()) + 60 * self._loads
        all_customers = self._invoices // INVOICES_A_CUSTOMER
        customers = self._random.sample(range(all_customers), min(CUSTOMERS, all_customers))

        def customer() -> int:
            return self._random.choice(customers)

        made = [
            event("invoice.paid", _paid(f"in_{tag}{n}", f"cus_{customer():014}"), id_=f"evt_{tag}n{n}")
            for n in range(int(NEW_PAID * share))
        ]
        for n in range(int(OPEN_PAID * share)):
            made.append(event("invoice.paid", _paid(*self._open.pop()), id_=f"evt_{tag}o{n}"))
        for n in range(int(UPDATED * share)):
            of = customer()
            number = of + 1 + all_customers * self._random.randrange(INVOICES_A_CUSTOMER)
            thing = invoice(f"in_{number:024}", customer=f"cus_{of:014}")
            made.append(event("invoice.updated", thing, id_=f"evt_quiet{tag}{n}"))
        for n, of in enumerate(self._random.sample(self._subscribers, int(SUBSCRIPTIONS * share))):
            thing = _subscription(of, plan=tag)
            made.append(event("customer.subscription.updated", thing, id_=f"evt_{tag}s{n}"))
        self._random.shuffle(made)
        return [body_of(each | {"created": created}) for each in made]


def _paid(invoice_id: str, customer_id: str) -> dict[str, object]:
    return invoice(invoice_id, customer=customer_id, status="paid", amount_paid=2990, amount_remaining=0)


def _subscription(customer: int, *, plan: str) -> dict[str, object]:
    now = int(time.time())
    price = {"id": plan, "nickname": plan, "unit_amount": 2990, "currency": "eur",
             "recurring": {"interval": "month", "interval_count": 1}}  # fmt: skip
    return {
        "id": f"sub_{customer:014}",
        "object": "subscription",
        "customer": f"cus_{customer:014}",
        "status": "active",
        "created": now,
        "start_date": now,
        "items": {"data": [{"price": price, "quantity": 1, "current_period_end": now + 2_592_000}]},
    }


@pytest.fixture
def roomy(servers: Servers) -> Iterator[Servers]:
    """The session's Kafka, and a PostgreSQL with the memory that such a database has."""
    needed = MANY * EVENTS_AN_INVOICE * BYTES_AN_EVENT
    folder = Path(os.environ[FOLDER_VARIABLE])
    free = shutil.disk_usage(folder).free
    if free < needed:
        pytest.skip(f"needs {needed / 1e9:.0f} GB in {folder}, where {free / 1e9:.0f} are free")
    with EmbeddedPostgres(
        folder / "roomy_postgres", port=free_port(), durable=False, settings=POSTGRES
    ) as postgres:
        yield Servers(servers.kafka_bootstrap_servers, postgres.url)


@asynccontextmanager
async def two_sides(servers: Servers) -> AsyncIterator[tuple[Side, Side]]:
    """One with few rows and one with many."""
    await make_template(servers)
    async with AsyncExitStack() as stack:
        sides = [
            Side(await stack.enter_async_context(World.fresh(servers)), servers, invoices)
            for invoices in (FEW, MANY)
        ]
        for side in sides:
            started = time.perf_counter()
            await side.fill()
            print(f"{side._invoices} invoices in {time.perf_counter() - started:.0f} s")
        yield sides[0], sides[1]


async def test_a_webhook_is_worked_in_time_that_does_not_grow(roomy: Servers, note: Note) -> None:
    few: list[float] = []
    many: list[float] = []
    tidying: list[float] = []
    async with two_sides(roomy) as (small, large):
        for _ in range(PAIRS):
            few.append(await small.rate())
            many.append(await large.rate())
            tidying.append(await large.rate(**TIDYING))
            print(f"{few[-1]:.0f}/s, {many[-1]:.0f}/s, {tidying[-1]:.0f}/s while old events are deleted")
        assert await large.has_deleted()
    ratio = median(b / a for a, b in zip(few, many, strict=True))
    tidy_ratio = median(b / a for a, b in zip(many, tidying, strict=True))
    note(
        "webhooks worked beside 1 million invoices, 10 million events, ratio to a hundredth of both",
        "≥ 0.8",
        f"{ratio:.2f} ({median(many):.0f}/s; {median(few):.0f}/s)",
    )
    note(
        "the same while old events are deleted, ratio to without",
        "≥ 0.6",
        f"{tidy_ratio:.2f} ({median(tidying):.0f}/s)",
    )
    assert ratio >= 0.8
    assert tidy_ratio >= 0.6
