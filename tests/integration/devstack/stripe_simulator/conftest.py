"""One simulator and one receiver for each test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import stripe

from libs.devstack.ports import free_port
from libs.devstack.stripe_simulator.control import RenewalMade, SimulatorControl
from tests.integration.devstack.stripe_simulator.process import SimulatorProcess
from tests.integration.devstack.stripe_simulator.receiver import Receiver

SECRET = "whsec_of_the_tests"
API_KEY = "sk_test_simulator"


@dataclass
class Sandbox:
    """A Stripe of the test's own: the process, the library, the controls, and where its webhooks arrive."""

    process: SimulatorProcess
    client: stripe.StripeClient
    control: SimulatorControl
    receiver: Receiver

    @property
    def api(self) -> Any:
        return self.client.v1

    async def renewal_fails(self, *cards: str, company: str = "c-1") -> RenewalMade:
        return await self.control.renewal_fails(
            name="ACME", email="compta@acme.test", cards=cards, metadata={"company_id": company}
        )

    async def all_delivered(self) -> None:
        async def are_all_delivered() -> bool:
            return await self.control.deliveries_pending() == 0

        await until(are_all_delivered)


async def until(condition: Callable[[], Awaitable[bool] | bool], deadline_seconds: float = 20) -> None:
    """Wait until what is awaited is visible."""
    async with asyncio.timeout(deadline_seconds):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


def new_client(url: str, **options: Any) -> stripe.StripeClient:
    return stripe.StripeClient(
        API_KEY,
        base_addresses={"api": url},
        http_client=stripe.HTTPXClient(),
        max_network_retries=0,
        **options,
    )


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    receiver = Receiver(free_port())
    await receiver.start()
    process = SimulatorProcess(
        free_port(),
        tmp_path / "stripe",
        *("--webhook-url", receiver.url, "--webhook-secret", SECRET),
        *("--webhook-timeout", "1", "--webhook-first-retry", "0.05", "--webhook-longest-retry", "0.2"),
    )
    await process.start()
    async with SimulatorControl(process.url) as control:
        yield Sandbox(process, new_client(process.url), control, receiver)
    await process.stop()
    await receiver.stop()
