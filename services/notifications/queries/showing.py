"""Deliveries as people look at them: lists, and one with every step, its fact and that fact's cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Table, and_, desc, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.notifications import models
from services.notifications.domain import Status

table: Table = models.Model.metadata.tables["deliveries"]
SHOWN = (
    "id", "dedup_key", "company_id", "kind", "category", "channel", "recipient", "recipient_name",
    "invoice_ids", "billing_cycle", "stage", "status", "why", "answer", "attempts", "due_at", "expires_at",
    "lease_until", "message_id", "event_id", "event_type", "created_at", "sending_at", "settled_at",
    "forgotten_at",
)  # fmt: skip
_columns = (*(table.c[name] for name in SHOWN), table.c.content.is_not(None).label("has_content"))


class Place(NamedTuple):
    """Where a page ended: its last delivery."""

    created_at: datetime
    delivery_id: UUID


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries: all that is not None must hold; made within [since, before)."""

    company_id: UUID | None = None
    kind: str | None = None
    channel: str | None = None
    status: str | None = None
    since: datetime | None = None
    before: datetime | None = None


async def list_deliveries(
    session: AsyncSession, wanted: Wanted, *, after: Place | None, limit: int
) -> list[Row[Any]]:
    """Newest first, those that come after a place."""
    statement = select(*_columns).where(and_(True, *_conditions(wanted)))
    if after is not None:
        statement = statement.where(tuple_(table.c.created_at, table.c.id) < tuple_(*after))
    statement = statement.order_by(desc(table.c.created_at), desc(table.c.id)).limit(limit)
    return list(await session.execute(statement))


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions = [
        table.c[name] == value
        for name in ("company_id", "kind", "channel", "status")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.since is not None:
        conditions.append(table.c.created_at >= wanted.since)
    if wanted.before is not None:
        conditions.append(table.c.created_at < wanted.before)
    return conditions


async def count_unknown_by_kind(session: AsyncSession) -> list[Row[Any]]:
    """Rows with kind, channel, count and since when the oldest waits for a word."""
    statement = (
        select(
            table.c.kind,
            table.c.channel,
            func.count().label("count"),
            func.min(table.c.settled_at).label("oldest_at"),
        )
        .where(table.c.status == Status.UNKNOWN)
        .group_by(table.c.kind, table.c.channel)
        .order_by(table.c.kind, table.c.channel)
    )
    return list(await session.execute(statement))


async def find_delivery(session: AsyncSession, delivery_id: UUID) -> Row[Any] | None:
    return (await session.execute(select(*_columns).where(table.c.id == delivery_id))).one_or_none()


async def find_delivery_id(session: AsyncSession, word: str) -> UUID | None:
    """By its dedup key."""
    statement = select(table.c.id).where(table.c.dedup_key == word)
    found: UUID | None = (await session.execute(statement)).scalar_one_or_none()
    return found


_LIST_STATES = text("""
    select status, why, answer, at from delivery_states where delivery_id = :delivery_id order by seq
""")


async def list_states(session: AsyncSession, delivery_id: UUID) -> Sequence[Row[Any]]:
    """Every step, oldest first: status, why, the server's answer, when."""
    return list(await session.execute(_LIST_STATES, {"delivery_id": delivery_id}))


_FIND_FACT = text("""
    select event_id, type, topic, "partition", "offset", occurred_at, received_at, causation_id, traceparent
    from inbox where event_id = :event_id
""")


async def find_fact(session: AsyncSession, event_id: UUID) -> Row[Any] | None:
    """The fact as it was heard; None once the inbox no longer holds it, or where none was heard."""
    return (await session.execute(_FIND_FACT, {"event_id": event_id})).one_or_none()
