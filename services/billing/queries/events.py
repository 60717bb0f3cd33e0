"""Stripe's events as they came: what, when, how often, and what each did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class Arrived:
    """One arrival of an event; `offset` is None where its place in Kafka is not known."""

    stripe_event_id: str
    event_id: UUID
    type: str
    api_version: str | None
    stripe_customer_id: str
    body: bytes
    created_at: datetime
    offset: int | None


# A batch that is read again from Kafka has offsets that were counted: they count once.
_KEEP = text("""
    with arrived as (
        select * from unnest(
            cast(:ids as text[]), cast(:event_ids as uuid[]), cast(:types as text[]),
            cast(:api_versions as text[]), cast(:customer_ids as text[]), cast(:bodies as bytea[]),
            cast(:created_at as timestamptz[]), cast(:offsets as bigint[])
        ) as a (id, event_id, type, api_version, customer_id, body, created_at, "offset")
    ), counted as (
        select id, count(*) as times, max("offset") as last_offset from arrived group by id
    ), one_each as (
        select distinct on (id) * from arrived order by id, "offset"
    )
    insert into stripe_events as e (stripe_event_id, event_id, type, api_version, stripe_customer_id, body,
                                    created_at, times_received, last_offset)
    select id, event_id, type, api_version, customer_id, body, created_at, times, last_offset
    from one_each join counted using (id) order by id
    on conflict (stripe_event_id) do update
    set times_received = e.times_received + excluded.times_received,
        last_offset = excluded.last_offset, body = coalesce(e.body, excluded.body)
    where excluded.last_offset > e.last_offset
""")

# Locked in sorted order, as they are when they come again.
_NOTE = text("""
    with noted as (
        select * from unnest(cast(:ids as text[]), cast(:outcomes as text[])) as n (id, outcome)
    ), locked as (
        select stripe_event_id as id from stripe_events where stripe_event_id in (select id from noted)
        order by stripe_event_id for update
    )
    update stripe_events e set worked_at = now(), outcome = noted.outcome
    from noted join locked using (id) where e.stripe_event_id = noted.id
""")


async def keep_events(session: AsyncSession, arrived: Sequence[Arrived]) -> None:
    await session.execute(
        _KEEP,
        {
            "ids": [a.stripe_event_id for a in arrived],
            "event_ids": [a.event_id for a in arrived],
            "types": [a.type for a in arrived],
            "api_versions": [a.api_version for a in arrived],
            "customer_ids": [a.stripe_customer_id for a in arrived],
            "bodies": [a.body for a in arrived],
            "created_at": [a.created_at for a in arrived],
            "offsets": [a.offset for a in arrived],
        },
    )


async def note_outcomes(session: AsyncSession, outcomes: Mapping[str, str]) -> None:
    """What each event did."""
    await session.execute(_NOTE, {"ids": list(outcomes), "outcomes": list(outcomes.values())})


_GET_BODY = text("select body from stripe_events where stripe_event_id = :id")


async def find_body(session: AsyncSession, stripe_event_id: str) -> bytes | None:
    body: bytes | None = (await session.execute(_GET_BODY, {"id": stripe_event_id})).scalar_one_or_none()
    return body


_LIST_TOLD = text("select event_id from outbox where event_id = any(cast(:ids as uuid[]))")


async def list_told(session: AsyncSession, event_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these facts were told before."""
    return set((await session.execute(_LIST_TOLD, {"ids": list(event_ids)})).scalars())


_DELETE_OLD = text("""
    delete from stripe_events where stripe_event_id in (
        select stripe_event_id from stripe_events
        where received_at < :before and worked_at is not null order by received_at limit :limit
    )
""")


async def delete_old_events(session: AsyncSession, *, before: datetime, limit: int) -> int:
    return int((await session.execute(_DELETE_OLD, {"before": before, "limit": limit})).rowcount)  # type: ignore[attr-defined]
