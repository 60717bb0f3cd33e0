"""What the environment names is used instead of being started."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from libs.devstack.mail_catcher.control import MailCatcherControl
from libs.devstack.mail_catcher.process import RunningCatcher, running_catcher
from libs.devstack.phone_platform.process import running_platform
from libs.devstack.ports import free_port
from libs.devstack.sms_provider.process import running_sms_provider
from libs.devstack.stack.environment import SERVICES
from libs.devstack.stripe_simulator.control import SimulatorControl
from tests.builders.stripe_events import body_of, event, invoice, signed
from tests.e2e.lives import Home, Life, at_work_on
from tests.fakes.processes import running
from tests.servers import Servers
from tests.servers.shared import APP_SECRET
from tests.world import World, until

STRIPE_SK = "sk_test_of_the_environment"
PLATFORM_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SMS_MODE_KEY = "sms-key-of-this-test"
WEBHOOK_SECRET = "whsec_of_the_environment"
MAIL_SECONDS = 30


async def one_mail(mails: MailCatcherControl, kind: str, recipient: str) -> bool:
    async def look() -> int:
        return (await mails.page(recipient=recipient)).total

    assert await until(look, seconds=MAIL_SECONDS, what=f"the mail {kind} to {recipient}") == 1
    [mail] = await mails.mails(recipient=recipient)
    return mail.kind == kind


def post_a_paid_invoice(url: str, secret: str, email: str) -> httpx.Response:
    """A webhook as Stripe signs it."""
    paid = invoice("in_hand", customer="cus_hand", status="paid", customer_email=email, amount_paid=2990)
    body = body_of(event("invoice.paid", paid, id_="evt_hand", created=int(time.time())))
    headers = {"Stripe-Signature": signed(body, secret)}
    return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=10)


def parts_of(life: Life) -> list[str]:
    """What runs beside the command and its caretaker: modules and programs."""
    return sorted(name for process in life.family()[1:] if (name := _name(process)) != "caretaker")


def _name(process: psutil.Process) -> str:
    words = process.cmdline()
    if "-m" in words:
        module = words[words.index("-m") + 1]
        return words[-1] if module == "services.cli" else module.rpartition(".")[2]
    return process.name()


@contextmanager
def simulator(folder: Path, webhook_url: str) -> Iterator[str]:
    """Its address."""
    arguments = [
        *("--port", str(free_port()), "--data", str(folder / "stripe"), "--api-key", STRIPE_SK),
        *("--webhook-url", webhook_url, "--webhook-secret", WEBHOOK_SECRET),
    ]
    with running("libs.devstack.stripe_simulator", arguments, folder / "stripe.log") as ready:
        yield ready["url"]


def named(servers: Servers, world: World, stripe: str, catcher: RunningCatcher) -> dict[str, str]:
    return {
        "DATABASE_URL": world.database_url,
        "KAFKA_BOOTSTRAP_SERVERS": servers.kafka_bootstrap_servers,
        "STRIPE_API_BASE": stripe,
        "MAILER_DSN": catcher.dsn,
        # The servers are shared with other tests: topics of our own, and the roles' passwords as they are.
        "KAFKA_TOPIC_PREFIX": world.prefix,
        "APP_SECRET": APP_SECRET,
        "STRIPE_SK": STRIPE_SK,
        "STRIPE_WEBHOOK_SECRETS": WEBHOOK_SECRET,
    }


async def test_all_named_none_is_started_and_a_signed_webhook_becomes_a_mail_there(
    servers: Servers, world: World, folder: Path
) -> None:
    home = Home(folder)
    webhook_url = f"http://127.0.0.1:{home.base + 1}/webhooks/stripe"
    async with (
        running_catcher(folder / "mails") as catcher,
        running_platform(folder / "platform", PLATFORM_SECRET) as platform,
        running_sms_provider(folder / "sms", SMS_MODE_KEY) as sms_provider,
    ):
        with simulator(folder, webhook_url) as stripe:
            home.environment = named(servers, world, stripe, catcher) | {
                "PLATFORM_WEBHOOK_URL": platform.control.webhook_url,
                "PLATFORM_WEBHOOK_SECRET": PLATFORM_SECRET,
                "SMSMODE_API_BASE": sms_provider.control.base_url,
                "SMS_MODE_KEY": SMS_MODE_KEY,
                "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T1/B1/of-somebody-else",
                "TINYURL_API_BASE": f"http://127.0.0.1:{free_port()}",
            }
            life = await home.start()
            last_line = life.printed().splitlines()[-1]
            assert last_line.startswith("RELANCE READY ")
            assert life.addresses["webhooks"] == webhook_url
            stand_ins = {"stripe", "mails", "platform", "sms", "slack", "tinyurl"}
            assert not stand_ins & life.addresses.keys()
            assert parts_of(life) == sorted(SERVICES)
            assert sorted(it.name for it in home.data.iterdir() if it.is_dir()) == ["jwt", "logs"]
            for name in (
                "KAFKA_BOOTSTRAP_SERVERS",
                "DATABASE_URL",
                "STRIPE_API_BASE",
                "MAILER_DSN",
                "PLATFORM_WEBHOOK_URL",
                "SMSMODE_API_BASE",
                "SLACK_WEBHOOK_URL",
                "TINYURL_API_BASE",
            ):
                assert f": celui de {name}, rien n'est démarré." in life.printed()
            assert "Pas de démonstration" in life.printed()

            assert post_a_paid_invoice(webhook_url, "whsec_wrong", "a@b.example").status_code == 400
            assert post_a_paid_invoice(webhook_url, WEBHOOK_SECRET, "paid@hand.example").status_code == 200
            assert await one_mail(catcher.control, "payment_receipt", "paid@hand.example")
            async with SimulatorControl(stripe) as control:
                await control.renewal_fails(name="Essai", email="unpaid@sim.example", cards=["decline"])
            assert await one_mail(catcher.control, "unpaid", "unpaid@sim.example")
            assert life.end(signal.SIGTERM) == 0
    assert at_work_on(home.data) == []


async def test_only_the_mail_server_named_the_other_three_are_started(folder: Path) -> None:
    async with running_catcher(folder / "mails") as catcher:
        home = Home(folder, environment={"MAILER_DSN": catcher.dsn})
        try:
            life = await home.start()
            assert "mails" not in life.addresses
            parts = {part for part in parts_of(life) if not part.startswith("postgres")}
            assert parts == {
                *SERVICES,
                "stripe_simulator",
                "phone_platform",
                "sms_provider",
                "slack_channel",
                "tinyurl_shortener",
                "java",
            }
            assert (home.data / "postgres" / "cluster").is_dir()
            assert "Boîte aux lettres : celui de MAILER_DSN, rien n'est démarré." in life.printed()
            async with SimulatorControl(life.addresses["stripe"]) as control:
                await control.renewal_fails(name="Essai", email="unpaid@sim.example", cards=["decline"])
            assert await one_mail(catcher.control, "unpaid", "unpaid@sim.example")
        finally:
            home.close()
