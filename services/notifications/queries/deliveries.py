"""Deliveries: added once, moved on by outcome, each step written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Table, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.envelope import Envelope
from services.notifications import models
from services.notifications.domain import KINDS, Delivery, Message, Result, Status

table: Table = models.Model.metadata.tables["deliveries"]
COLUMNS = (
    "id", "company_id", "kind", "channel", "recipient", "recipient_name", "invoice_id", "invoice_ids",
    "billing_cycle", "stage", "context", "attempts", "fence", "created_at", "expires_at", "event_id",
    "event_type", "traceparent",
)  # fmt: skip
selected = tuple(table.c[name] for name in COLUMNS)


def as_delivery(row: Row[Any]) -> Delivery:
    values = {name: getattr(row, name) for name in COLUMNS}
    return Delivery(**{**values, "invoice_ids": tuple(row.invoice_ids)})


async def add_delivery(
    session: AsyncSession, message: Message, *, cause: Envelope, now: datetime
) -> Delivery | None:
    """The new pending delivery; None when the same message is there already."""
    kind = KINDS[message.kind]
    values = {
        "id": message.delivery_id,
        "dedup_key": message.key,
        "company_id": message.company_id,
        "kind": message.kind,
        "category": kind.category,
        "channel": message.channel,
        "recipient": message.address,
        "recipient_name": message.recipient_name,
        "invoice_id": message.invoice_id,
        "invoice_ids": [message.invoice_id] if message.invoice_id else [],
        "billing_cycle": message.billing_cycle,
        "stage": message.stage,
        "context": dict(message.context),
        "status": Status.PENDING,
        "due_at": now,
        "expires_at": message.expires_at or cause.time + kind.expires_after,
        "event_id": cause.event_id,
        "event_type": cause.type,
        "traceparent": cause.traceparent,
        "created_at": now,
    }
    statement = insert(table).values(values).on_conflict_do_nothing().returning(*selected)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    await session.execute(_ADD_STATE, {"id": row.id, "status": Status.PENDING, "now": now})
    return as_delivery(row)


_ADD_STATE = text("insert into delivery_states (delivery_id, status, at) values (:id, :status, :now)")


# The fence lets only the claim that was given it speak for the delivery; each step is kept.
_MARK_OUTCOMES = text("""
    with outcomes as (
        select * from unnest(
            cast(:ids as uuid[]), cast(:fences as bigint[]), cast(:statuses as text[]), cast(:whys as text[]),
            cast(:answers as text[]), cast(:due_at as timestamptz[]), cast(:provider_ids as text[])
        ) as o (id, fence, status, why, answer, due_at, provider_id)
    ), marked as (
        update deliveries d
        set status = o.status, why = o.why, answer = o.answer, lease_until = null,
            attempts = d.attempts - case when d.waits_for_turn and o.status = 'pending' then 1 else 0 end,
            due_at = coalesce(o.due_at, d.due_at), provider_id = coalesce(o.provider_id, d.provider_id),
            settled_at = case when o.status <> 'pending' then cast(:now as timestamptz) end
        from outcomes o
        where d.id = o.id and d.fence = o.fence and d.status = any(cast(:from_statuses as text[]))
          and (d.waits_for_turn or not :only_waiting)
        returning d.id, d.status, d.why, d.answer
    )
    insert into delivery_states (delivery_id, status, why, answer, at)
    select id, status, why, answer, cast(:now as timestamptz) from marked
    returning delivery_id
""")


async def mark_outcomes(
    session: AsyncSession,
    results: Sequence[Result],
    *,
    now: datetime,
    from_statuses: Sequence[Status],
    only_waiting: bool = False,
) -> set[UUID]:
    """Ids of those whose claim had the right to say so: not of one that has moved on meanwhile.

    `only_waiting`: nor of one whose turn has come.
    """
    values = {
        "ids": [delivery.id for delivery, _ in results],
        "fences": [delivery.fence for delivery, _ in results],
        "statuses": [outcome.status for _, outcome in results],
        "whys": [outcome.why for _, outcome in results],
        "answers": [_storable(outcome.answer) for _, outcome in results],
        "due_at": [outcome.due_at for _, outcome in results],
        "provider_ids": [outcome.provider_id for _, outcome in results],
        "from_statuses": list(from_statuses),
        "only_waiting": only_waiting,
        "now": now,
    }
    return set((await session.execute(_MARK_OUTCOMES, values)).scalars())


def _storable(answer: str) -> str | None:
    # Other people's servers say what they like; PostgreSQL keeps no NUL in a text.
    return answer.replace("\x00", "\\x00") or None


async def list_pending(session: AsyncSession, company_id: UUID, kinds: Sequence[str]) -> list[Delivery]:
    statement = select(*selected).where(
        table.c.company_id == company_id, table.c.kind.in_(kinds), table.c.status == Status.PENDING
    )
    return [as_delivery(row) for row in await session.execute(statement)]


async def find_content(session: AsyncSession, delivery_id: UUID) -> bytes | None:
    """The mail, byte for byte as it was handed to the mail server; None before the first try."""
    statement = select(table.c.content).where(table.c.id == delivery_id)
    content: bytes | None = (await session.execute(statement)).scalar_one_or_none()
    return content


_COUNT = text("""
    select status, count(*) as n from deliveries where created_at >= :since and created_at < :until
    group by status
""")


async def count_deliveries(session: AsyncSession, *, since: datetime, until: datetime) -> dict[Status, int]:
    """Deliveries that were made between the two moments, by where they stand now."""
    rows = await session.execute(_COUNT, {"since": since, "until": until})
    return {Status(row.status): row.n for row in rows}


@dataclass(frozen=True, slots=True)
class Addressed:
    """Where a delivery went."""

    company_id: UUID
    channel: str
    recipient: str | None


async def find_addressed(session: AsyncSession, delivery_id: UUID) -> Addressed | None:
    columns = (table.c.company_id, table.c.channel, table.c.recipient)
    row = (await session.execute(select(*columns).where(table.c.id == delivery_id))).one_or_none()
    return Addressed(*row) if row else None
