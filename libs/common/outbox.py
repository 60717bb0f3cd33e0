"""The outbox: facts stored in the transaction of their effect, relayed to Kafka in order afterwards.

A row stays after it was relayed, for long: it is what the service told, can tell again, and will not tell
twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure
from libs.common.events import Event
from libs.common.swept import Swept
from libs.common.telemetry import child_of

LARGEST_EVENT_BYTES = 900_000
"""Kafka refuses a record over 1 MiB; a fact that can never be relayed must fail where it is told."""

LARGEST_KEY_BYTES = 1000
"""A key is an id. One that no index holds would fail where nobody can tell why."""


@dataclass(frozen=True, slots=True)
class Told:
    """A fact on its way into the outbox."""

    event_id: UUID
    type: str
    key: str
    data: bytes
    occurred_at: datetime
    traceparent: str
    causation_id: UUID | None

    @classmethod
    def of(cls, event: Event, *, now: datetime, traceparent: str | None, causation_id: UUID | None) -> Told:
        """Raises PermanentFailure when the fact is too large for Kafka, or its key for an index."""
        data = event.to_bytes()
        if len(data) > LARGEST_EVENT_BYTES:
            raise PermanentFailure(f"{event.type} for {event.key} is {len(data)} bytes: too large for Kafka")
        if len(event.key.encode()) > LARGEST_KEY_BYTES:
            raise PermanentFailure(f"{event.type} has a key of {len(event.key)} characters: a key is an id")
        return cls(
            event_id=event.event_id,
            type=event.type,
            key=event.key,
            data=data,
            occurred_at=now,
            traceparent=child_of(traceparent),
            causation_id=causation_id,
        )


_LOCK_STREAM = text("""
    insert into streams (key, revision) values (:key, 0)
    on conflict (key) do update set revision = streams.revision
""")

# The streams rows are raised in sorted order: that locks the keys without deadlocks and numbers the facts,
# so that for one key the order of seq, of revision and of commit are the same.
_ADD = text("""
    with told as (
        select * from unnest(
            cast(:event_ids as uuid[]), cast(:types as text[]), cast(:keys as text[]), cast(:data as bytea[]),
            cast(:occurred_at as timestamptz[]), cast(:traceparents as text[]), cast(:causation_ids as uuid[])
        ) with ordinality as t (event_id, type, key, data, occurred_at, traceparent, causation_id, position)
    ), raised as (
        insert into streams as s (key, revision)
        select key, count(*) from told group by key order by key
        on conflict (key) do update set revision = s.revision + excluded.revision
        returning s.key, s.revision
    )
    insert into outbox (event_id, topic, type, key, revision, data, occurred_at, traceparent, causation_id)
    select told.event_id, :topic, told.type, told.key,
           raised.revision - count(*) over (partition by told.key) + row_number() over (
               partition by told.key order by told.position),
           told.data, told.occurred_at, told.traceparent, told.causation_id
    from told join raised using (key)
    order by told.position
    on conflict (event_id) do nothing
""")


async def lock_stream(session: AsyncSession, key: str) -> None:
    await session.execute(_LOCK_STREAM, {"key": key})


async def add(session: AsyncSession, teller: str, told: Sequence[Told]) -> None:
    """Store facts; one that was told before (the same event id) is left as it was."""
    await session.execute(
        _ADD,
        {
            "topic": f"{teller}.events",
            "event_ids": [t.event_id for t in told],
            "types": [t.type for t in told],
            "keys": [t.key for t in told],
            "data": [t.data for t in told],
            "occurred_at": [t.occurred_at for t in told],
            "traceparents": [t.traceparent for t in told],
            "causation_ids": [t.causation_id for t in told],
        },
    )


# One relay at a time keeps the order; the lock goes with the transaction, hence with a killed process.
_TRY_RELAY_LOCK = text("select pg_try_advisory_xact_lock(hashtext(current_schema() || '.outbox'))")

_LIST_UNTOLD = text("""
    select seq, event_id, topic, type, key, revision, data, occurred_at, traceparent, causation_id
    from outbox where told_at is null order by seq limit :limit
""")

_MARK_TOLD = text("update outbox set told_at = now() where seq = any(cast(:seqs as bigint[]))")


@dataclass(frozen=True, slots=True)
class Untold:
    """A row that waits to be relayed, and the envelope it travels in."""

    seq: int
    topic: str
    envelope: Envelope


async def try_relay_lock(session: AsyncSession) -> bool:
    return bool((await session.execute(_TRY_RELAY_LOCK)).scalar())


async def list_untold(session: AsyncSession, *, source: str, limit: int) -> list[Untold]:
    rows = await session.execute(_LIST_UNTOLD, {"limit": limit})
    return [
        Untold(
            seq=row.seq,
            topic=row.topic,
            envelope=Envelope(
                event_id=row.event_id,
                type=row.type,
                source=source,
                key=row.key,
                time=row.occurred_at,
                data=row.data,
                revision=row.revision,
                traceparent=row.traceparent,
                causation_id=row.causation_id,
            ),
        )
        for row in rows
    ]


_DELETE_OLD = text("""
    with oldest as materialized (
        select seq, told_at from outbox where seq > :after order by seq limit :limit
    ), old as (
        select seq from outbox
        where seq = any(array(select seq from oldest where told_at < :before)) for update skip locked
    ), gone as (
        delete from outbox where seq = any(array(select seq from old)) returning seq
    )
    select (select count(*) from gone) as deleted, max(seq) as last, count(*) as looked_at,
           bool_and(told_at < :before) is true as is_old
    from oldest
""")


async def delete_old(
    session: AsyncSession, *, before: datetime, after: tuple[int] | None, limit: int
) -> Swept:
    """What was relayed before a moment. Such a fact, told again after that, is told as a new one."""
    values = {"before": before, "after": after[0] if after else 0, "limit": limit}
    row = (await session.execute(_DELETE_OLD, values)).one()
    return Swept(row.deleted, (row.last,) if row.looked_at == limit and row.is_old else None)


async def mark_told(session: AsyncSession, seqs: Sequence[int]) -> None:
    await session.execute(_MARK_TOLD, {"seqs": list(seqs)})
