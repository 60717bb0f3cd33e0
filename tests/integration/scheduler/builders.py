"""A scheduler under test, and the facts it hears."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
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
from services.scheduler import handlers
from services.scheduler.jobs import Engine, works
from services.scheduler.reading import Reading
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


class RunningClock(HandClock):
    """A clock that goes on by itself from where a test puts it: each moment is worked once."""

    def __init__(self, now: datetime = NOW) -> None:
        self._put_at = time.monotonic()
        super().__init__(now)

    def __call__(self) -> datetime:
        return self._now + timedelta(seconds=time.monotonic() - self._put_at)

    @property
    def now(self) -> datetime:
        return self()

    @now.setter
    def now(self, now: datetime) -> None:
        self._put_at = time.monotonic()
        self._now = now


def scheduler_settings(world: World, **overrides: object) -> SchedulerSettings:
    return world.settings(SchedulerSettings, **{"interne_apikey": KEY, **overrides})


def make_engine(
    database: Database, settings: SchedulerSettings, *, names: Sequence[str] | None = None
) -> Engine:
    """One instance of the engine, with all its routines or with these only."""
    routines = [each for each in settings.routines if names is None or each.name in names]
    reading = Reading(handlers.router, settings)
    return Engine(database, routines, works(settings), settings, reading=reading)


async def drain(engine: Engine) -> None:
    """Until nothing is left to be worked."""
    while await engine.tick():
        pass


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
