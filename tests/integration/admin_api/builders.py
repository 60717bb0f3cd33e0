"""An admin API under test, its key, and the facts it hears."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI

from libs.common.database import Database
from libs.common.envelope import Envelope
from libs.common.events import Event
from libs.common.events.notifications import (
    DeliveryAccepted,
    DeliveryBounced,
    DeliveryDelivered,
    DeliveryFailed,
    DeliverySuppressed,
    DeliveryUnknown,
)
from libs.common.router import Heard
from services.admin_api.app import create_app
from services.admin_api.settings import AdminApiSettings
from tests.world import World

E = TypeVar("E", bound=Event)

KEY = "an-internal-key-for-tests"
HEADERS = {"X-Api-Key": KEY}
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
COMPANY = {"name": "Boulangerie Martin", "email": "contact@martin.example"}


def admin_settings(world: World, **overrides: object) -> AdminApiSettings:
    return world.settings(AdminApiSettings, **{"interne_apikey": KEY, **overrides})


@asynccontextmanager
async def admin(world: World, app: FastAPI | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """The running service, and a client that has the key."""
    async with world.running(app or create_app(admin_settings(world))) as http:
        http.headers.update(HEADERS)
        yield http


@asynccontextmanager
async def admin_database(world: World) -> AsyncIterator[Database]:
    database = Database(
        admin_settings(world).service_database_url("admin_api"), service="admin_api", teller="directory"
    )
    try:
        yield database
    finally:
        await database.close()


@dataclass(frozen=True)
class Sent:
    """A delivery, and the facts that may be told of it."""

    company_id: UUID
    delivery_id: UUID
    at: datetime

    def _common(self) -> dict[str, Any]:
        return {
            "company_id": self.company_id,
            "delivery_id": self.delivery_id,
            "kind": "invoice_unpaid",
            "channel": "mail",
            "billing_cycle": "2026-11",
            "invoice_ids": ("in_1", "in_2"),
        }

    def accepted(self, *, minutes: int = 0) -> DeliveryAccepted:
        return DeliveryAccepted(**self._common(), accepted_at=self._after(minutes), answer="250 2.0.0 Ok")

    def delivered(self, *, minutes: int = 0) -> DeliveryDelivered:
        return DeliveryDelivered(**self._common(), delivered_at=self._after(minutes), answer="delivered")

    def bounced(self, *, minutes: int = 0) -> DeliveryBounced:
        return DeliveryBounced(**self._common(), bounced_at=self._after(minutes), answer="550 5.1.1")

    def failed(self, *, minutes: int = 0) -> DeliveryFailed:
        return DeliveryFailed(**self._common(), failed_at=self._after(minutes), answer="550 5.1.1 unknown")

    def suppressed(self, *, minutes: int = 0) -> DeliverySuppressed:
        return DeliverySuppressed(**self._common(), suppressed_at=self._after(minutes), why="already_listed")

    def unknown(self, *, minutes: int = 0) -> DeliveryUnknown:
        return DeliveryUnknown(**self._common(), unknown_at=self._after(minutes), answer="lost after DATA")

    def _after(self, minutes: int) -> datetime:
        return self.at + timedelta(minutes=minutes)


def sent(company_id: UUID | None = None, *, at: datetime = NOW) -> Sent:
    return Sent(company_id or uuid4(), uuid4(), at)


def heard(event: E, *, revision: int = 1) -> Heard[E]:
    envelope = Envelope(
        event_id=event.event_id,
        type=event.type,
        source=f"/relance/{event.teller()}",
        key=event.key,
        time=NOW,
        data=event.to_bytes(),
        revision=revision,
    )
    return Heard(event, envelope)
