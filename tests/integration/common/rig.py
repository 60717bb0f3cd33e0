"""A tiny service of the tests' own in the scheduler's schema: what it heard becomes rows of `effects`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
from fastapi import FastAPI
from sqlalchemy import text

from libs.common.database import Database, Uow
from libs.common.events import Event
from libs.common.events.billing import InvoicePaid
from libs.common.events.operations import EventSetAside
from libs.common.events.scheduler import SignupStepDue
from libs.common.router import EventRouter, Heard
from libs.common.service import Service
from services.scheduler.settings import SchedulerSettings
from tests.world import World, until

SERVICE = "scheduler"
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)

# No unique key on purpose: what is done twice must be seen.
EFFECTS = (
    "create table effects (id bigserial primary key, event_id uuid, key text, note text)",
    "grant insert, select on effects to public",
    "grant usage on sequence effects_id_seq to public",
)

_ADD = text("insert into effects (event_id, key, note) values (:event_id, :key, :note)")


def paid(company: UUID | None = None, invoice: str | None = None, **changed: object) -> InvoicePaid:
    """A fact to hear; its `number` is what handlers of tests go by."""
    fields: dict[str, object] = {
        "company_id": company or uuid4(),
        "invoice_id": invoice or f"in_{uuid4().hex[:12]}",
        "amount_cents": 1290,
        "currency": "eur",
        "paid_at": NOW,
        "billing_cycle": "2026-11",
        "customer_name": "Café du Port",
    }
    return InvoicePaid.model_validate(fields | changed)


def step(company: UUID | None = None, name: str | None = None, **changed: object) -> SignupStepDue:
    """A fact that the scheduler may tell."""
    fields: dict[str, object] = {
        "company_id": company or uuid4(),
        "step": name or uuid4().hex[:12],
        "due_at": NOW,
        "expires_at": NOW,
        "name": "Café du Port",
        "email": "port@example.fr",
    }
    return SignupStepDue.model_validate(fields | changed)


async def add_effect(uow: Uow, event: Event, note: str = "") -> None:
    await uow.session.execute(_ADD, {"event_id": event.event_id, "key": event.key, "note": note})


@dataclass
class Rig:
    """The world with the table of effects, and what tests ask of it."""

    world: World
    settings: SchedulerSettings
    ends: list[int] = field(default_factory=list)
    """Exit codes with which a service under test wanted to end its process, which is that of all tests."""
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @classmethod
    @asynccontextmanager
    async def made(cls, world: World) -> AsyncIterator[Rig]:
        for statement in EFFECTS:
            await world.rows(SERVICE, statement)
        rig = cls(world, world.settings(SchedulerSettings))
        async with rig._stack:
            yield rig
        assert rig.ends == [], "a service wanted to end the process"

    def app(self, router: EventRouter | None = None, **changed: object) -> FastAPI:
        settings = self.settings.model_copy(update=changed)
        return Service(SERVICE, settings, end_process=self.ends.append).app(handlers=router)

    def database(self) -> Database:
        """As the service's own role; closed at the end of the test."""
        database = Database(self.settings.service_database_url(SERVICE), service=SERVICE, teller=SERVICE)
        self._stack.push_async_callback(database.close)
        return database

    async def effects(self) -> list[tuple[UUID, str]]:
        rows = await self.world.rows(SERVICE, "select event_id, note from effects order by id")
        return [(row["event_id"], row["note"]) for row in rows]

    async def effect_ids(self) -> list[UUID]:
        return [event_id for event_id, _ in await self.effects()]

    async def inbox(self, event: Event) -> dict[str, object] | None:
        rows = await self.world.rows(SERVICE, "select * from inbox where event_id = $1", event.event_id)
        return rows[0] if rows else None

    async def until_status(self, event: Event, status: str, *, seconds: float = 20) -> dict[str, object]:
        async def look() -> dict[str, object]:
            row = await self.inbox(event) or {}
            return row if row.get("status") == status else {}

        return await until(look, seconds=seconds, what=f"the inbox row {status}")

    async def until_relayed(self) -> None:
        async def look() -> bool:
            return not await self.world.rows(SERVICE, "select from outbox where told_at is null")

        await until(look, what="every fact relayed")

    async def until_handled(self, events: Sequence[Event], *, seconds: float = 20) -> None:
        wanted = {event.event_id for event in events}

        async def look() -> bool:
            return wanted <= set(await self.effect_ids())

        await until(look, seconds=seconds, what=f"the effects of {len(wanted)} events")

    async def until_told_set_aside(self, event_id: UUID) -> list[EventSetAside]:
        async def look() -> list[EventSetAside]:
            told = await self.outbox(EventSetAside)
            return [fact for fact in told if fact.set_aside_event_id == event_id]

        return await until(look, what="the fact that an event was set aside")

    async def outbox(self, event_class: type[EventSetAside]) -> list[EventSetAside]:
        rows = await self.world.rows(
            SERVICE, "select data from outbox where type = $1 order by seq", event_class.type
        )
        return [event_class.from_bytes(row["data"]) for row in rows]

    async def kill_backends(self, where: str = "true") -> int:
        """Ends the service's database connections at once; answers how many."""
        connection = await asyncpg.connect(self.world.database_url)
        try:
            rows = await connection.fetch(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
                f"and application_name = 'relance-{SERVICE}' and pid <> pg_backend_pid() and {where}"
            )
        finally:
            await connection.close()
        return len(rows)


def counting_router() -> EventRouter:
    """Every payment heard is a row of `effects`."""
    router = EventRouter(SERVICE)

    @router.on(InvoicePaid)
    async def note_payment(event: InvoicePaid, uow: Uow) -> None:
        await add_effect(uow, event)

    return router


__all__ = ["NOW", "SERVICE", "Heard", "Rig", "add_effect", "counting_router", "paid", "step"]
