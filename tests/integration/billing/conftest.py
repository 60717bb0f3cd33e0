"""Billing in this process on real servers, with a Stripe simulator at the far end of the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from libs.common.service import ALL_DOORS, Door
from libs.devstack.ports import free_port
from libs.devstack.stripe_simulator.control import SimulatorControl
from services.billing.app import create_app
from services.billing.settings import BillingSettings
from tests.fakes.processes import running
from tests.world import World, until

SECRET = "whsec_for_tests_only"
KEY = "sk_test_simulator"
INTERNAL_KEY = "an-internal-key-for-tests"


class Clock:
    """The real time, until a test moves it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def move_to(self, moment: datetime) -> None:
        self.ahead = moment - datetime.now(UTC)


@dataclass
class Billing:
    """A running billing service and its Stripe."""

    world: World
    stripe: SimulatorControl
    http: httpx.AsyncClient
    settings: BillingSettings
    clock: Clock

    async def at_rest(self, *, seconds: float = 40) -> None:
        """Until Stripe has delivered everything and billing has worked all of it."""

        async def look() -> bool:
            state = await self.stripe.state()
            [row] = await self.world.rows(
                "billing",
                """select (select count(*) from stripe_events where worked_at is not null) as worked,
                          (select count(*) from inbox where status = 'pending')
                        + (select count(*) from dunning_cases where state = 'attempting')
                        + (select count(*) from outbox where told_at is null) as pending""",
            )
            is_delivered = state.deliveries.get("pending", 0) == 0
            return is_delivered and row["worked"] == sum(state.events.values()) and row["pending"] == 0

        # Twice in a row: an answer of Stripe's may cause another webhook.
        await until(look, seconds=seconds, what="billing at rest")
        await until(look, seconds=seconds, what="billing at rest")

    def new_app(self) -> FastAPI:
        """Another instance of the same service."""
        return create_app(self.settings, clock=self.clock)

    async def time_passes(self, span: timedelta) -> None:
        """At Stripe and here."""
        self.clock.ahead += span
        await self.stripe.advance_clock(int(span.total_seconds()))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def billing(world: World, clock: Clock, tmp_path: Path) -> AsyncIterator[Billing]:
    async with running_billing(world, clock, tmp_path) as service:
        yield service


@pytest.fixture
async def idle_billing(world: World, clock: Clock, tmp_path: Path) -> AsyncIterator[Billing]:
    """It hears and shows, but starts no job of its own: those are in the test's hands."""
    doors = frozenset({Door.HTTP, Door.KAFKA})
    async with running_billing(world, clock, tmp_path, doors=doors) as service:
        yield service


@asynccontextmanager
async def running_billing(
    world: World, clock: Clock, tmp_path: Path, *, doors: frozenset[Door] = ALL_DOORS, **changes: object
) -> AsyncIterator[Billing]:
    """The service behind a real socket, and its Stripe, whose data stay in the folder."""
    port, stripe_port = free_port(), free_port()
    arguments = ["--port", str(stripe_port), "--data", str(tmp_path / "stripe"), "--api-key", KEY,
                 "--webhook-url", f"http://127.0.0.1:{port}/webhooks/stripe", "--webhook-secret", SECRET,
                 "--webhook-first-retry", "0.1"]  # fmt: skip
    settings = world.settings(
        BillingSettings,
        stripe_sk=KEY,
        stripe_webhook_secrets=SECRET,
        stripe_api_base=f"http://127.0.0.1:{stripe_port}",
        **{
            "stripe_timeout_seconds": 2,
            "stripe_requests_per_second": 500,
            "stripe_reconcile_grace_seconds": 0,
            "stripe_breaker_rest_seconds": 0.3,
            "dunning_workers": 8,
            "interne_apikey": INTERNAL_KEY,
            "billing_public_url": f"http://127.0.0.1:{port}",
            # Stripe's own clock is not moved.
            "stripe_webhook_tolerance_seconds": 10**9,
            **changes,
        },
    )
    async with AsyncExitStack() as stack:
        log = tmp_path / "stripe.log"
        ready = stack.enter_context(running("libs.devstack.stripe_simulator", arguments, log))
        stripe = await stack.enter_async_context(SimulatorControl(ready["url"]))
        http = await stack.enter_async_context(
            world.serving(create_app(settings, doors=doors, clock=clock), port)
        )
        service = Billing(world, stripe, http, settings, clock)

        async def is_ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        await until(is_ready, what="billing ready")
        yield service
