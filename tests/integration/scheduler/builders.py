"""A scheduler under test, and the facts it hears."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID, uuid4

from libs.common.database import Database
from libs.common.envelope import Envelope
from libs.common.events import Event
from libs.common.events.billing import SubscriptionStarted
from libs.common.events.directory import CompanyRegistered
from libs.common.router import Heard
from services.scheduler.settings import SchedulerSettings
from tests.world import World

E = TypeVar("E", bound=Event)

KEY = "an-internal-key-for-tests"
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


class HandClock:
    """A clock that only a test moves."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def scheduler_settings(world: World, **overrides: object) -> SchedulerSettings:
    quick = {"signup_scan_seconds": 0.1, "unpaid_check_seconds": 0.1, "interne_apikey": KEY}
    return world.settings(SchedulerSettings, **{**quick, **overrides})


@asynccontextmanager
async def scheduler_database(world: World) -> AsyncIterator[Database]:
    database = Database(
        scheduler_settings(world).service_database_url("scheduler"),
        service="scheduler",
        teller="scheduler",
        clock=HandClock(),
    )
    try:
        yield database
    finally:
        await database.close()


def registered(
    company_id: UUID | None = None, *, ago: timedelta, stripe_customer_id: str | None = None
) -> CompanyRegistered:
    company_id = company_id or uuid4()
    return CompanyRegistered(
        company_id=company_id,
        name=f"Entreprise {company_id}",
        email=f"{company_id}@entreprise.example",
        stripe_customer_id=stripe_customer_id,
        registered_at=NOW - ago,
    )


def subscribed(
    company_id: UUID, *, subscription_id: str = "sub_1", at: datetime = NOW
) -> SubscriptionStarted:
    return SubscriptionStarted(company_id=company_id, subscription_id=subscription_id, started_at=at)


def heard(event: E, *, revision: int = 1, at: datetime = NOW) -> Heard[E]:
    envelope = Envelope(
        event_id=event.event_id,
        type=event.type,
        source=f"/relance/{event.teller()}",
        key=event.key,
        time=at,
        data=event.to_bytes(),
        revision=revision,
    )
    return Heard(event, envelope)
