"""From a webhook's first byte to its mail accepted by the mail server, one at a time, nothing else to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from libs.devstack.ports import free_port
from tests.benchmarks.conftest import Note
from tests.benchmarks.processes import service, until_answers
from tests.builders.stripe_events import body_of, event, invoice, signed
from tests.servers import Servers
from tests.world import World

SECRET = "whsec_for_the_benchmark"
WEBHOOKS = 200
WARM = 30
# Production's: were a wake-up lost, this rest would be seen in the figures.
POLL_SECONDS = 5
DEADLINE_SECONDS = 30

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]


class Sink:
    """A mail server that takes everything at once and says when it took what."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[float]] = {}

    def expect(self, recipient: str) -> asyncio.Future[float]:
        self._waiting[recipient] = asyncio.get_running_loop().create_future()
        return self._waiting[recipient]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        for recipient in envelope.rcpt_tos:
            self._waiting.pop(recipient).set_result(time.perf_counter())
        return "250 taken"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        port = free_port(26_000)
        server = await asyncio.get_running_loop().create_server(lambda: SMTP(self), "127.0.0.1", port)
        try:
            yield port
        finally:
            server.close()


async def _seconds(client: httpx.AsyncClient, sink: Sink, number: int) -> float:
    recipient = f"c{number}@example.fr"
    thing = invoice(
        f"in_{number}",
        customer=f"cus_{number}",
        customer_email=recipient,
        status="paid",
        amount_paid=2990,
        amount_remaining=0,
    )
    body = body_of(event("invoice.paid", thing, id_=f"evt_{number}"))
    taken = sink.expect(recipient)
    started = time.perf_counter()
    answer = await client.post(
        "/webhooks/stripe", content=body, headers={"Stripe-Signature": signed(body, SECRET)}
    )
    assert answer.status_code == 200, answer.text
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await taken - started


async def test_a_receipt_leaves_soon_after_its_webhook(world: World, servers: Servers, note: Note) -> None:
    sink = Sink()
    pace = {"poll_seconds": str(POLL_SECONDS)}
    async with sink.listening() as smtp_port:
        stripe = {"stripe_sk": "sk_test_1", "stripe_webhook_secrets": SECRET}
        mail = {
            "mailer_dsn": f"smtp://127.0.0.1:{smtp_port}",
            "mail_sender": "Relance <bonjour@example.fr>",
            "login_url": "https://app.example/login",
            "lease_seconds": "60",
        }
        with (
            service("billing", world, servers, **stripe, **pace) as billing,
            service("notifications", world, servers, **(pace | mail)) as notifications,
        ):
            await until_answers(billing, "/readyz", 200)
            await until_answers(notifications, "/readyz", 200)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{billing}") as client:
                for number in range(WARM):
                    await _seconds(client, sink, number)
                seen = sorted([await _seconds(client, sink, WARM + n) for n in range(WEBHOOKS)])
    p50_ms, p99_ms = seen[len(seen) // 2] * 1000, seen[int(len(seen) * 0.99)] * 1000
    figures = f"p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms, longest {seen[-1] * 1000:.0f} ms"
    note("webhook to mail accepted, unloaded", "aim p99 < 100 ms", figures)
