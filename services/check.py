"""What `relance check` finds out: is every setting there, does every peer answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import asyncpg
import httpx
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import SecretStr

from libs.common.errors import MisconfiguredError
from libs.common.events import TELLERS
from libs.common.jobs import brief
from libs.common.settings import CommonSettings
from libs.common.topics import topic_of
from services.admin_api.auth.keys import load_keys
from services.admin_api.settings import AdminApiSettings
from services.run import settings_of

ANSWER_SECONDS = 5.0
SMTP_PORTS = {"smtp": 25, "smtps": 465}


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `trouble` None: it is fine."""

    what: str
    trouble: str | None = None

    @property
    def is_fine(self) -> bool:
        return self.trouble is None

    def line(self) -> str:
        return f"ok    {self.what}" if self.trouble is None else f"FAIL  {self.what}: {self.trouble}"


Look = Callable[[], Awaitable[None]]


async def check_all(services: Sequence[str]) -> list[Finding]:
    """Settings of every service, then the peers that those settings name, all at once."""
    found = [_load(service) for service in services]
    looks: dict[str, Look] = {}
    for service, (settings, _) in zip(services, found, strict=True):
        if settings is not None:
            looks.update(_peers(service, settings))
    findings = await asyncio.gather(*(_look(what, look) for what, look in looks.items()))
    return [*(finding for _, finding in found), *findings]


def _load(service: str) -> tuple[CommonSettings | None, Finding]:
    what = f"settings of {service}"
    try:
        return settings_of(service), Finding(what)
    except MisconfiguredError as error:
        return None, Finding(what, str(error))


def _peers(service: str, settings: CommonSettings) -> dict[str, Look]:
    """By what they are to people; the same peer of two services is looked at once."""
    peers: dict[str, Look] = {
        f"database of {service}": lambda: _check_database(service, settings),
        f"Kafka at {settings.kafka_bootstrap_servers}": lambda: _check_kafka(settings),
    }
    if isinstance(settings, AdminApiSettings):
        peers["keys that sign admins' tokens"] = lambda: _check_token_keys(settings)
    stripe_api_base, stripe_sk = (
        getattr(settings, "stripe_api_base", None),
        getattr(settings, "stripe_sk", None),
    )
    if stripe_api_base and stripe_sk:
        peers[f"Stripe at {stripe_api_base}"] = lambda: _check_stripe(stripe_api_base, stripe_sk)
    platform_url: str | None = getattr(settings, "platform_webhook_url", None)
    if platform_url:
        peers[f"phone platform at {urlsplit(platform_url).netloc}"] = lambda: _check_answers(platform_url)
    sms_key: SecretStr | None = getattr(settings, "sms_mode_key", None)
    sms_base: str | None = getattr(settings, "smsmode_api_base", None)
    if sms_key and sms_base:
        peers[f"smsmode at {urlsplit(sms_base).netloc}"] = lambda: _check_smsmode(sms_base, sms_key)
    slack_url: SecretStr | None = getattr(settings, "slack_webhook_url", None)
    if slack_url and getattr(settings, "why_not_slack", None) is None:
        parts = urlsplit(slack_url.get_secret_value())
        # Not the webhook itself: whatever is sent there, the team reads.
        origin = f"{parts.scheme}://{parts.netloc}/"
        peers[f"Slack at {parts.netloc}"] = lambda: _check_answers(origin)
    if getattr(settings, "tinyurl_token", None):
        tinyurl: str = getattr(settings, "tinyurl_api_base", "")
        peers[f"TinyURL at {tinyurl}"] = lambda: _check_answers(tinyurl)
    mailer_dsn: SecretStr | None = getattr(settings, "mailer_dsn", None)
    if mailer_dsn:
        parts = urlsplit(mailer_dsn.get_secret_value())
        peers[f"mail server at {parts.hostname}:{parts.port}"] = lambda: _check_smtp(mailer_dsn)
    return peers


async def _look(what: str, look: Look) -> Finding:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await look()
    except TimeoutError:
        return Finding(what, f"no answer within {ANSWER_SECONDS:.0f} s")
    except Exception as error:
        return Finding(what, brief(error))
    return Finding(what)


async def _check_database(service: str, settings: CommonSettings) -> None:
    connection = await asyncpg.connect(settings.service_database_url(service), timeout=ANSWER_SECONDS)
    try:
        await connection.execute(f'select from "{service}".alembic_version')
    except asyncpg.PostgresError as error:
        raise MisconfiguredError(
            f"answers, but is not migrated (`relance migrate {service}`): {error}"
        ) from error
    finally:
        await connection.close()


async def _check_token_keys(settings: AdminApiSettings) -> None:
    load_keys(settings)


async def _check_kafka(settings: CommonSettings) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    try:
        await admin.start()
        wanted = {settings.kafka_topic_prefix + topic_of(teller) for teller in TELLERS}
        missing = wanted - set(await admin.list_topics())
    finally:
        await admin.close()
    if missing:
        names = ", ".join(sorted(missing))
        raise MisconfiguredError(f"answers, but lacks the topics {names}: `relance topics --create`")


async def _check_stripe(api_base: str, key: SecretStr) -> None:
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"}
    async with httpx.AsyncClient(base_url=api_base, headers=headers, timeout=ANSWER_SECONDS) as stripe:
        response = await stripe.get("/v1/customers", params={"limit": 1})
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        raise MisconfiguredError("answers, but refuses STRIPE_SK")
    response.raise_for_status()


async def _check_answers(url: str) -> None:
    """Any answer will do: it has nothing to say to whoever only asks."""
    async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as client:
        await client.get(url)


async def _check_smsmode(api_base: str, key: SecretStr) -> None:
    headers = {"X-Api-Key": key.get_secret_value(), "Accept": "application/json"}
    async with httpx.AsyncClient(base_url=api_base, headers=headers, timeout=ANSWER_SECONDS) as smsmode:
        response = await smsmode.get("/sms/v1/messages", params={"page": 1, "pageSize": 1})
    if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise MisconfiguredError("answers, but refuses SMS_MODE_KEY")
    response.raise_for_status()


async def _check_smtp(dsn: SecretStr) -> None:
    parts = urlsplit(dsn.get_secret_value())
    port = parts.port or SMTP_PORTS.get(parts.scheme, 25)
    context = ssl.create_default_context() if parts.scheme == "smtps" else None
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
    try:
        greeting = (await reader.readline()).decode(errors="replace").strip()
        writer.write(b"QUIT\r\n")
        await writer.drain()
    finally:
        writer.close()
    if not greeting.startswith("220"):
        raise MisconfiguredError(f"does not greet as a mail server: {greeting!r}")
