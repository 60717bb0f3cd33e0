"""Stripe's events as they came: what, when, how often, and what each did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.errors import PermanentFailure
from libs.common.events.directory import StripeEventReplayRequested
from libs.common.swept import Swept


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


# What is old and has to stay is passed over: whoever owes has the whole of his story, and what somebody wants
# worked again is there when its turn comes. What was never worked stays until somebody has seen to it.
_DELETE_OLD = text("""
    with oldest as materialized (
        select stripe_event_id, stripe_customer_id, received_at, worked_at from stripe_events
        where received_at < :before
          and (received_at, stripe_event_id) > (cast(:after_at as timestamptz), cast(:after_id as text))
        order by received_at, stripe_event_id limit :limit
    ), unneeded as (
        select stripe_event_id from oldest
        where worked_at is not null and stripe_event_id <> all(cast(:wanted as text[]))
          and coalesce(stripe_customer_id, '') not in (
              select stripe_customer_id from dunning_cases where state <> 'closed')
    ), old as (
        select stripe_event_id from stripe_events
        where stripe_event_id = any(array(select stripe_event_id from unneeded)) for update skip locked
    ), gone as (
        delete from stripe_events where stripe_event_id = any(array(select stripe_event_id from old))
        returning stripe_event_id
    ), last as (
        select received_at, stripe_event_id from oldest
        order by received_at desc, stripe_event_id desc limit 1
    )
    select (select count(*) from gone) as deleted, (select count(*) from oldest) as looked_at,
           last.received_at, last.stripe_event_id
    from (select) one left join last on true
""")

_LIST_REPLAYS = text("""
    select data from inbox where status = 'pending' and type = :type
    union all select data from inbox where status = 'dead' and type = :type
""")

_BEGINNING = (datetime.min.replace(tzinfo=UTC), "")


async def delete_old_events(
    session: AsyncSession, *, before: datetime, after: tuple[Any, ...] | None, limit: int
) -> Swept:
    """Those received and worked before a moment, but for what an open case or a waiting replay needs."""
    after_at, after_id = after or _BEGINNING
    replays = (await session.execute(_LIST_REPLAYS, {"type": StripeEventReplayRequested.type})).scalars()
    values = {
        "before": before,
        "after_at": after_at,
        "after_id": after_id,
        "limit": limit,
        "wanted": [id_ for id_ in map(_event_wanted, replays) if id_],
    }
    row = (await session.execute(_DELETE_OLD, values)).one()
    is_more = row.looked_at == limit
    return Swept(row.deleted, (row.received_at, row.stripe_event_id) if is_more else None)


def _event_wanted(data: bytes) -> str | None:
    """None for what was set aside because it says nothing."""
    try:
        return StripeEventReplayRequested.from_bytes(data).stripe_event_id
    except PermanentFailure:
        return None
