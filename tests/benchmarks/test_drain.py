"""Many invoices fail at once and Stripe answers in a second: the cases drain at the pace that is allowed, and
webhooks are worked meanwhile as before.

With 50,000 invoices (`make bench-first-of-month`) draining takes hours at 25 requests a second: it is watched
for `RELANCE_DRAIN_SECONDS` then, which are more than the failing itself takes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx
import pytest

from libs.common.events.billing import InvoiceUnpaid
from libs.devstack.ports import free_port
from libs.devstack.stripe_simulator.control import SimulatorControl
from tests.benchmarks.conftest import Note
from tests.benchmarks.processes import service, until_answers
from tests.builders.stripe_events import body_of, event, signed
from tests.fakes.processes import running
from tests.servers import Servers
from tests.world import World, until

INVOICES = int(os.environ.get("RELANCE_DRAIN_INVOICES", "300"))
MOST_SECONDS = float(os.environ.get("RELANCE_DRAIN_SECONDS", "600"))
FAILING_SECONDS = 600.0
CARDS = ["decline", "decline_insufficient_funds", "decline_expired_card"]
SECRET = "whsec_for_the_benchmark"
KEY = "sk_test_simulator"
PACE = 25.0
STRIPE_SECONDS = 1.0
WANTED = 0.95
MAKERS = 8

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(4 * MOST_SECONDS + 900)]


@dataclass
class Seen:
    """Requests at Stripe, and how long a webhook took to be worked, as time went by."""

    requests: list[tuple[float, int]] = field(default_factory=list)
    webhook_seconds: list[float] = field(default_factory=list)
    failing_seconds: float = 0.0
    cases: int = 0

    def used(self) -> float:
        """Of the allowed pace, while there was work for all workers: without the first and last tenth."""
        before, total = self.requests[0][1], self.requests[-1][1]
        self.requests = [(at, count - before) for at, count in self.requests]
        total -= before
        middle = [(at, count) for at, count in self.requests if 0.1 * total <= count <= 0.9 * total]
        (first_at, first), (last_at, last) = middle[0], middle[-1]
        return (last - first) / (last_at - first_at) / PACE


async def _make_all(stripe: SimulatorControl) -> list[str]:
    """Invoices that nobody heard of, open after their first attempt."""
    numbers = iter(range(INVOICES))
    invoices: list[str] = []

    async def make() -> None:
        for number in numbers:
            made = await stripe.renewal_fails(name=f"C{number}", email=f"c{number}@example.fr", cards=CARDS)
            invoices.append(made.invoice)

    await stripe.chaos(lose_all=True)
    await asyncio.gather(*(make() for _ in range(MAKERS)))
    await stripe.calm()
    return invoices


async def _fail_all(stripe: SimulatorControl, invoices: list[str], seen: Seen) -> None:
    """Stripe tries each once more, and fails: as fast as it goes, and within ten minutes."""
    waiting = iter(invoices)

    async def attempt() -> None:
        for invoice in waiting:
            await stripe.attempt(invoice)

    began = time.monotonic()
    await asyncio.gather(*(attempt() for _ in range(MAKERS)))
    seen.failing_seconds = time.monotonic() - began


async def _watch(seen: Seen, stripe: SimulatorControl, is_over: Callable[[], Awaitable[bool]]) -> None:
    while not await is_over():
        state = await stripe.state()
        seen.requests.append((time.monotonic(), sum(state.requests.values())))
        await asyncio.sleep(0.5)


async def _send_webhooks(seen: Seen, http: httpx.AsyncClient, world: World) -> None:
    """One after the other, until canceled."""
    number = 0
    while True:
        number += 1
        id_ = f"evt_probe_{number}"
        thing = {"id": f"cus_probe_{number}", "object": "customer", "email": "p@example.fr", "name": "P"}
        body = body_of(event("customer.updated", thing, id_=id_))
        began = time.monotonic()
        headers = {"Stripe-Signature": signed(body, SECRET)}
        answer = await http.post("/webhooks/stripe", content=body, headers=headers)
        assert answer.status_code == 200

        async def is_worked(id_: str = id_) -> bool:
            found = "select from stripe_events where stripe_event_id = $1"
            return bool(await world.rows("billing", found, id_))

        await until(is_worked, what="a webhook worked")
        seen.webhook_seconds.append(time.monotonic() - began)
        await asyncio.sleep(0.5)


async def test_cases_drain_at_the_allowed_pace(
    world: World, servers: Servers, note: Note, tmp_path: Path
) -> None:
    stripe_port = free_port(27_000)
    async with AsyncExitStack() as stack:
        settings = {
            "stripe_sk": KEY,
            "stripe_webhook_secrets": SECRET,
            "stripe_api_base": f"http://127.0.0.1:{stripe_port}",
            "stripe_requests_per_second": str(PACE),
            "stripe_timeout_seconds": "30",
            "lease_seconds": "60",
            "database_pool_size": "10",
        }
        billing = stack.enter_context(service("billing", world, servers, **settings))
        arguments = ["--port", str(stripe_port), "--data", str(tmp_path / "stripe"), "--api-key", KEY,
                     "--webhook-url", f"http://127.0.0.1:{billing}/webhooks/stripe",
                     "--webhook-secret", SECRET]  # fmt: skip
        ready = stack.enter_context(running("libs.devstack.stripe_simulator", arguments, tmp_path / "log"))
        stripe = await stack.enter_async_context(SimulatorControl(ready["url"]))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{billing}"))
        await until_answers(billing, "/readyz", 200)
        seen = await _drain(world, stripe, http)
    if seen.cases == INVOICES:
        told = {u.invoice_id for u in await world.told(InvoiceUnpaid)}
        assert len(told) == INVOICES
    half = len(seen.webhook_seconds) // 2
    before, after = median(seen.webhook_seconds[:half]), median(seen.webhook_seconds[half:])
    used = seen.used()
    per_case = seen.requests[-1][1] / seen.cases
    note(
        f"{INVOICES} failed invoices, Stripe answers in {STRIPE_SECONDS:g} s: share of the {PACE:g} a second",
        f">= {WANTED}",
        f"{used:.2f}, {per_case:.1f} requests a case; {seen.cases} cases done, failing took "
        f"{seen.failing_seconds:.0f} s",
    )
    note(
        "a webhook meanwhile, from its sending to worked: second half against the first",
        "<= 2",
        f"{after / before:.2f} (median {before * 1000:.0f} ms, then {after * 1000:.0f} ms)",
    )
    assert used >= WANTED
    assert seen.failing_seconds < FAILING_SECONDS
    assert after <= 2 * before


async def _drain(world: World, stripe: SimulatorControl, http: httpx.AsyncClient) -> Seen:
    deadline = float("inf")

    async def is_over() -> bool:
        query = """select count(*) as n, count(*) filter (where state <> 'attempting') as done
                   from dunning_cases"""
        [row] = await world.rows("billing", query)
        seen.cases = row["done"]
        return bool(seen.cases == INVOICES or (failing.done() and time.monotonic() > deadline))

    seen = Seen()
    invoices = await _make_all(stripe)
    await stripe.latency(STRIPE_SECONDS)
    deadline = time.monotonic() + MOST_SECONDS
    failing = asyncio.create_task(_fail_all(stripe, invoices, seen))
    probing = asyncio.create_task(_send_webhooks(seen, http, world))
    try:
        await _watch(seen, stripe, is_over)
        await failing
    finally:
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)

    async def is_told() -> bool:
        return not await world.rows("billing", "select from outbox where told_at is null")

    await until(is_told, what="everything told")
    return seen
