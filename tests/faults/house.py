"""What the mixed storm blows through: billing's door, its worker and notifications as processes of their own,
a Stripe and a mail server at the far ends. The worker is killed and started again at once, however often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import httpx

from libs.common.events.scheduler import StripeReconciliationDue
from libs.devstack.mail_catcher.control import MailCatcherControl
from libs.devstack.ports import free_port
from libs.devstack.stripe_simulator.control import SimulatorControl
from tests.fakes.processes import running
from tests.fakes.service_process import ServiceProcess, service_process
from tests.world import World

KEY = "sk_test_simulator"
SECRET = "whsec_for_tests_only"
LOOK_SECONDS = 1.0
# How long a worker lives once it can work; it takes about two seconds to get there.
LIVES_SECONDS = (0.1, 6.0)
# Now and then it is killed while it starts.
ONE_IN_DIES_YOUNG = 8
STARTING_SECONDS = (0.1, 2.0)
RECONCILE_EVERY = 3

PATIENT: dict[str, object] = {"poll_seconds": 1, "database_pool_size": 15, "watchdog_seconds": 120}
BILLING: dict[str, object] = {
    "stripe_sk": KEY,
    "stripe_webhook_secrets": SECRET,
    "stripe_requests_per_second": 200,
    "stripe_reconcile_grace_seconds": 5,
    "dunning_workers": 30,
    **PATIENT,
    # Long enough that only a kill lets it run out, on a machine that does much else.
    "stripe_timeout_seconds": 5,
    "lease_seconds": 10,
}


class Worker:
    """`relance run billing --doors kafka,clock`, one life after the other; killed by kill -9 only."""

    def __init__(self, world: World, folder: Path, **settings: object) -> None:
        self._world = world
        self._folder = folder
        self._settings = settings
        self._life = AsyncExitStack()
        self._lives = 0
        self.process: ServiceProcess | None = None

    async def start(self) -> ServiceProcess:
        self._lives += 1
        folder = self._folder / f"worker-{self._lives}"
        folder.mkdir()
        process = service_process(self._world, "billing", folder, "kafka,clock", **BILLING, **self._settings)
        self.process = await self._life.enter_async_context(process)
        return self.process

    async def kill(self) -> None:
        await self._life.aclose()
        self._life = AsyncExitStack()


@dataclass
class Kills:
    """How often the worker was killed, and in the middle of what."""

    number: int = 0
    while_starting: int = 0
    with_tries_under_way: int = 0
    tries_interrupted: int = 0
    at: list[float] = field(default_factory=list)


class House:
    """All of it, running."""

    def __init__(
        self, world: World, stripe: SimulatorControl, mails: MailCatcherControl, worker: Worker
    ) -> None:
        self.world = world
        self.stripe = stripe
        self.mails = mails
        self.worker = worker
        self.kills = Kills()
        self._began = time.monotonic()

    async def kill_worker(self, random: Random) -> None:
        """Once, at a random instant of its life; the next life begins at once."""
        worker = self.worker.process
        assert worker is not None, "the worker is running"
        if random.randrange(ONE_IN_DIES_YOUNG) == 0:
            await asyncio.sleep(random.uniform(*STARTING_SECONDS))
            self.kills.while_starting += (await worker.readiness())[0] != httpx.codes.OK
        else:
            await worker.until_ready()
            await asyncio.sleep(random.uniform(*LIVES_SECONDS))
        [row] = await self.world.rows(
            "billing", "select count(*) as trying from payment_attempts where state = 'trying'"
        )
        await self.worker.kill()
        self.kills.number += 1
        self.kills.with_tries_under_way += row["trying"] > 0
        self.kills.tries_interrupted += row["trying"]
        self.kills.at.append(round(time.monotonic() - self._began, 1))
        await self.worker.start()
        if self.kills.number % RECONCILE_EVERY == 0:
            await self.world.tell(StripeReconciliationDue(due_at=datetime.now(UTC)))

    async def at_rest(self, *, seconds: float) -> None:
        """Until every webhook was accepted and everything that it caused was worked, told and sent."""
        seen: object = None
        still = 0
        try:
            async with asyncio.timeout(seconds):
                while still < 2:  # what a last answer of Stripe's may still cause, before looking once more
                    seen = await self._what_waits()
                    still = 0 if seen else still + 1
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise AssertionError(f"no rest within {seconds} s; waiting still: {seen}") from None

    async def _what_waits(self) -> dict[str, int]:
        state = await self.stripe.state()
        [billing] = await self.world.rows(
            "billing",
            """select (select count(*) from stripe_events where worked_at is not null) as worked,
                (select count(*) from inbox where status = 'pending') as inbox,
                (select count(*) from dunning_cases where state = 'attempting') as cases,
                (select count(*) from outbox where told_at is null) as outbox,
                (select count(*) from outbox where type like 'billing.invoice_%'
                    or type like 'billing.payment_%') as told""",
        )
        [mail] = await self.world.rows(
            "notifications",
            """select (select count(*) from inbox where status = 'pending') as mail_inbox,
                (select count(*) from deliveries where status in ('pending', 'sending')) as deliveries,
                (select count(*) from inbox where type like 'billing.invoice_%'
                    or type like 'billing.payment_%') as heard""",
        )
        found = {
            "webhooks": state.deliveries.get("pending", 0),
            "events": sum(state.events.values()) - billing.pop("worked"),
            "facts": billing.pop("told") - mail.pop("heard"),
            **billing,
            **mail,
        }
        return {name: number for name, number in found.items() if number}


@asynccontextmanager
async def running_house(world: World, folder: Path) -> AsyncIterator[House]:
    door_port, stripe_port = free_port(), free_port()
    smtp_port, mails_port = free_port(), free_port()
    stripe_url = f"http://127.0.0.1:{stripe_port}"
    far_ends = {
        "libs.devstack.stripe_simulator": [
            "--port", str(stripe_port), "--data", str(folder / "stripe"), "--api-key", KEY,
            "--webhook-url", f"http://127.0.0.1:{door_port}/webhooks/stripe", "--webhook-secret", SECRET,
        ],
        "libs.devstack.mail_catcher": [
            "--smtp-port", str(smtp_port), "--http-port", str(mails_port), "--data", str(folder / "mails"),
        ],
    }  # fmt: skip
    async with AsyncExitStack() as stack:
        for module, arguments in far_ends.items():
            stack.enter_context(running(module, arguments, folder / f"{module.rpartition('.')[2]}.log"))
        stripe = await stack.enter_async_context(SimulatorControl(stripe_url, timeout_seconds=120))
        mails = await stack.enter_async_context(MailCatcherControl(f"http://127.0.0.1:{mails_port}"))
        door = await stack.enter_async_context(
            service_process(
                world,
                "billing",
                folder,
                "http",
                billing_port=door_port,
                stripe_api_base=stripe_url,
                **BILLING,
            )
        )
        notifications = await stack.enter_async_context(
            service_process(
                world, "notifications", folder,
                mailer_dsn=f"smtp://127.0.0.1:{smtp_port}", mail_sender="Relance <relance@relance.example>",
                login_url="https://app.example/login", unpaid_digest_seconds=1,
                # It is not killed: no mail's outcome may be unknown, however busy the machine is.
                lease_seconds=60, smtp_timeout_seconds=20, **PATIENT,
            )
        )  # fmt: skip
        worker = Worker(world, folder, stripe_api_base=stripe_url)
        await worker.start()
        stack.push_async_callback(worker.kill)
        await door.until_ready()
        await notifications.until_ready()
        yield House(world, stripe, mails, worker)
