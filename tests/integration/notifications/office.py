"""What the tests of notifications do and look at: facts in, deliveries and caught mails out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

from libs.common.events import CompanyEvent, Event
from libs.common.events.directory import CompanyRegistered
from libs.common.service import ALL_DOORS, Door
from libs.devstack.mail_catcher.process import RunningCatcher
from libs.devstack.ports import free_port
from libs.devstack.sms_provider.control import SmsProviderControl
from services.notifications.app import create_app
from services.notifications.settings import NotificationsSettings
from tests.unit.notifications.facts import AT, Customer
from tests.world import World, until

SMS_KEY = "sms-key-of-this-test"
SMSMODE_TOKEN = "smsmode-token-of-this-test"
BREVO_TOKEN = "brevo-token-of-this-test"
READER = frozenset({Door.KAFKA})
SENDER = frozenset({Door.CLOCK})

E = TypeVar("E", bound=Event)


class Office:
    """A world with notifications and a mail catcher in it."""

    def __init__(self, world: World, catcher: RunningCatcher) -> None:
        self.world = world
        self.catcher = catcher
        self.mails = catcher.control

    def settings(self, **changes: object) -> NotificationsSettings:
        values: dict[str, object] = {
            "mailer_dsn": self.catcher.dsn,
            "mail_sender": "Relance <relance@relance.test>",
            "login_url": "https://app.relance.test/login",
            "smtp_timeout_seconds": 1,
            "unpaid_digest_seconds": 60,
            "sms_timeout_seconds": 1,
            "settle_after_seconds": 0.3,
            "smsmode_webhook_token": SMSMODE_TOKEN,
            "brevo_webhook_token": BREVO_TOKEN,
            **changes,
        }
        return self.world.settings(NotificationsSettings, **values)

    def app(self, doors: frozenset[Door] = ALL_DOORS, **changes: object) -> FastAPI:
        return create_app(self.settings(**changes), doors=doors)

    @asynccontextmanager
    async def open(
        self, doors: frozenset[Door] = ALL_DOORS, **changes: object
    ) -> AsyncIterator[httpx.AsyncClient]:
        async with self.world.running(self.app(doors, **changes)) as client:
            yield client

    @asynccontextmanager
    async def open_to(self, provider: SmsProviderControl, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        """Behind a real socket, where the SMS provider's callbacks come in."""
        port = free_port()
        app = self.app(
            sms_mode_key=SMS_KEY,
            smsmode_api_base=provider.base_url,
            notifications_public_url=f"http://127.0.0.1:{port}",
            **changes,
        )
        async with self.world.serving(app, port) as client:
            yield client

    async def knows(self, customer: Customer, phone: str | None) -> None:
        """The directory names this number for the customer."""
        fact = CompanyRegistered(
            company_id=customer.company_id,
            name="Éts Ménard",
            email=customer.email or "",
            phone=phone,
            registered_at=AT,
        )
        await self.world.tell(fact)

        async def look() -> list[dict[str, Any]]:
            sql = "select 1 from companies where company_id = $1"
            return await self.world.rows("notifications", sql, customer.company_id)

        await until(look, what="the company")

    async def queue(self, *facts: CompanyEvent) -> None:
        """The facts are heard and their deliveries written, while nobody sends."""
        async with self.open(READER):
            for fact in facts:
                await self.world.tell(fact)
            await until(lambda: self.has_handled(len(facts)), what="the facts being handled")

    async def has_handled(self, count: int) -> bool:
        rows = await self.world.rows("notifications", "select count(*) as n from inbox where status = 'done'")
        return bool(rows[0]["n"] >= count)

    async def told(self, event_class: type[E], count: int) -> list[E]:
        """The facts of a class, once there are so many of them."""
        facts = await self.world.told(event_class)
        return facts if len(facts) >= count else []

    async def deliveries(self) -> list[dict[str, Any]]:
        return await self.world.rows("notifications", "select * from deliveries order by created_at, kind")

    async def statuses(self) -> dict[str, tuple[str, str | None]]:
        """Status and why of each delivery, by dedup key."""
        return {row["dedup_key"]: (row["status"], row["why"]) for row in await self.deliveries()}

    async def history(self, dedup_key: str) -> list[str]:
        rows = await self.world.rows(
            "notifications",
            "select s.status from delivery_states s join deliveries d on d.id = s.delivery_id "
            "where d.dedup_key = $1 order by s.seq",
            dedup_key,
        )
        return [row["status"] for row in rows]

    async def until_status(self, dedup_key: str, status: str) -> dict[str, Any]:
        """The delivery, once it stands so."""

        async def look() -> list[dict[str, Any]]:
            return [
                row
                for row in await self.deliveries()
                if row["dedup_key"] == dedup_key and row["status"] == status
            ]

        return (await until(look, what=f"{dedup_key} {status}"))[0]

    async def until_all(self, count: int, *statuses: str) -> list[dict[str, Any]]:
        """All deliveries, once there are so many and all of them stand so."""

        async def look() -> list[dict[str, Any]]:
            rows = await self.deliveries()
            is_so = len(rows) == count and all(row["status"] in statuses for row in rows)
            return rows if is_so else []

        return await until(look, what=f"{count} deliveries {statuses}")
