"""What providers say after they took a message: kept once, and what it changes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Result, Row, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.notifications.domain import Channel, Delivery, Status
from services.notifications.queries.deliveries import as_delivery, selected, table


@dataclass(frozen=True, slots=True)
class Found:
    """A delivery, and where it stands. Right only while its company is locked."""

    delivery: Delivery
    status: Status
    sending_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A callback that waits to be worked."""

    seq: int
    provider: str
    body: dict[str, Any]


_ADD_EVENT = text("""
    insert into provider_events (provider, dedup_key, body, received_at)
    select :provider, e.dedup_key, cast(e.body as jsonb), cast(:now as timestamptz)
    from unnest(cast(:keys as text[]), cast(:bodies as text[])) as e (dedup_key, body)
    on conflict (provider, dedup_key) do nothing returning seq
""")


async def add_provider_events(
    session: AsyncSession, provider: str, bodies: Mapping[str, Mapping[str, Any]], *, now: datetime
) -> int:
    """`bodies` by dedup key; answers how many of them are new."""
    values = {
        "provider": provider,
        "keys": list(bodies),
        "bodies": [json.dumps(body) for body in bodies.values()],
        "now": now,
    }
    return len((await session.execute(_ADD_EVENT, values)).all())


_LIST_EVENTS = text("""
    select seq, provider, body from provider_events where status = 'pending' order by seq limit :limit
""")


async def list_provider_events(session: AsyncSession, *, limit: int) -> list[ProviderEvent]:
    """The oldest that wait; not locked: companies come before rows in the one order of locks."""
    rows = await session.execute(_LIST_EVENTS, {"limit": limit})
    return [ProviderEvent(row.seq, row.provider, row.body) for row in rows]


_LOCK_EVENTS = text("""
    select seq from provider_events where seq = any(cast(:seqs as bigint[])) and status = 'pending'
    order by seq for update skip locked
""")


async def lock_provider_events(session: AsyncSession, seqs: Sequence[int]) -> set[int]:
    """Those of them that still wait and that nobody else works."""
    return set((await session.execute(_LOCK_EVENTS, {"seqs": list(seqs)})).scalars())


_MARK_EVENT = text("""
    update provider_events
    set status = :status, outcome = :outcome, delivery_id = :delivery_id, worked_at = :now
    where seq = :seq
""")


async def mark_provider_event(
    session: AsyncSession,
    seq: int,
    outcome: str,
    *,
    delivery_id: UUID | None,
    is_ignored: bool,
    now: datetime,
) -> None:
    values = {
        "seq": seq,
        "status": "ignored" if is_ignored else "done",
        "outcome": outcome,
        "delivery_id": delivery_id,
        "now": now,
    }
    await session.execute(_MARK_EVENT, values)


async def find_deliveries(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Found]:
    statement = select(*selected, table.c.status, table.c.sending_at).where(table.c.id.in_(ids))
    rows: Result[Any] = await session.execute(statement)
    return {row.id: Found(as_delivery(row), Status(row.status), row.sending_at) for row in rows}


_ADD_VERDICT = text("""
    insert into address_verdicts as a (channel, address, verdict, reason, delivery_id, first_at, last_at)
    values (:channel, :address, :verdict, :reason, :delivery_id, :now, :now)
    on conflict (channel, address, verdict) do update
    set reason = excluded.reason, delivery_id = excluded.delivery_id, last_at = excluded.last_at,
        times = a.times + 1
""")


async def add_verdict(
    session: AsyncSession,
    channel: str,
    address: str,
    verdict: str,
    *,
    reason: str,
    delivery_id: UUID | None,
    now: datetime,
) -> None:
    """Addresses without regard to case."""
    values = {
        "channel": channel,
        "address": address.strip().lower(),
        "verdict": verdict,
        "reason": reason.replace("\x00", ""),
        "delivery_id": delivery_id,
        "now": now,
    }
    await session.execute(_ADD_VERDICT, values)


_CLAIM_QUESTIONS = text("""
    with claimed as (
        select id from deliveries
        where status = 'unknown' and channel = :channel and asked < :most_times
          and coalesce(ask_at, settled_at + make_interval(secs => :first_seconds))
              <= cast(:now as timestamptz)
        order by created_at limit :limit
        for update skip locked
    )
    update deliveries d
    set asked = d.asked + 1,
        ask_at = cast(:now as timestamptz) + make_interval(secs => :first_seconds * power(2, d.asked))
    from claimed where d.id = claimed.id
    returning d.id, d.sending_at, d.asked
""")


async def claim_questions(
    session: AsyncSession,
    channel: Channel,
    *,
    now: datetime,
    first_seconds: float,
    most_times: int,
    limit: int,
) -> Sequence[tuple[UUID, datetime, int]]:
    """Unknown deliveries of which the provider is to be asked now: id, when it was sent, how often it was
    asked with this time. Each further question waits twice as long, so nobody else asks meanwhile."""
    values = {
        "channel": channel,
        "now": now,
        "first_seconds": first_seconds,
        "most_times": most_times,
        "limit": limit,
    }
    rows = await session.execute(_CLAIM_QUESTIONS, values)
    return [(row.id, row.sending_at, row.asked) for row in rows]


async def count_held(session: AsyncSession, *, before: datetime) -> int:
    """Unknown since before then."""
    statement = (
        select(func.count())
        .select_from(table)
        .where(table.c.status == Status.UNKNOWN, table.c.settled_at < before)
    )
    return int((await session.execute(statement)).scalar_one())


_LIST_UNKNOWN = text("""
    select id, kind, channel, recipient, sending_at, asked, answer from deliveries
    where status = 'unknown' order by created_at limit :limit
""")


async def list_unknown(session: AsyncSession, *, limit: int) -> Sequence[Row[Any]]:
    return (await session.execute(_LIST_UNKNOWN, {"limit": limit})).all()
