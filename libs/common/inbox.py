"""The inbox: what was read from Kafka, worked one event, one unit of work, once, in order per key.

`pending` rows are worked oldest first of each key, once due; `dead` rows were set aside and block nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.envelope import Envelope
from libs.common.swept import Swept

ROWS_LOOKED_AT = 8
"""For each row of a batch, so many pending ones are looked at; if that is too few, so many times more."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as it was read: parsed, or with the cause why not."""

    topic: str
    partition: int
    offset: int
    envelope: Envelope
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A claimed row of the inbox."""

    seq: int
    attempts: int
    envelope: Envelope
    cause: str | None = None
    """Why it failed before, if it did."""


_ADD = text("""
    insert into inbox (event_id, type, source, key, topic, partition, "offset", data, revision, occurred_at,
                       traceparent, causation_id, status, cause)
    select event_id, type, source, key, topic, partition, "offset", data, revision, occurred_at, traceparent,
           causation_id, case when cause is null then 'pending' else 'dead' end, cause
    from unnest(
        cast(:event_ids as uuid[]), cast(:types as text[]), cast(:sources as text[]), cast(:keys as text[]),
        cast(:topics as text[]), cast(:partitions as int[]), cast(:offsets as bigint[]),
        cast(:data as bytea[]), cast(:revisions as bigint[]), cast(:occurred_at as timestamptz[]),
        cast(:traceparents as text[]), cast(:causation_ids as uuid[]), cast(:causes as text[])
    ) with ordinality as a (event_id, type, source, key, topic, partition, "offset", data, revision,
                            occurred_at, traceparent, causation_id, cause, position)
    order by position
    on conflict (event_id) do nothing
""")


async def add(session: AsyncSession, arrivals: Sequence[Arrival]) -> None:
    """Store a batch in one statement; what is already there (the same event id) is left as it was."""
    envelopes = [arrival.envelope for arrival in arrivals]
    await session.execute(
        _ADD,
        {
            "event_ids": [e.event_id for e in envelopes],
            "types": [e.type for e in envelopes],
            "sources": [e.source for e in envelopes],
            "keys": [e.key for e in envelopes],
            "topics": [a.topic for a in arrivals],
            "partitions": [a.partition for a in arrivals],
            "offsets": [a.offset for a in arrivals],
            "data": [e.data for e in envelopes],
            "revisions": [e.revision for e in envelopes],
            "occurred_at": [e.time for e in envelopes],
            "traceparents": [e.traceparent for e in envelopes],
            "causation_ids": [e.causation_id for e in envelopes],
            "causes": [a.cause for a in arrivals],
        },
    )


_COLUMNS = (
    "seq, attempts, cause, event_id, type, source, key, data, revision, occurred_at, traceparent, "
    "causation_id"
)

# A younger row of a key is never claimed while an older one is pending, whoever holds that one: of the oldest
# pending rows, the first of each key. Not by asking of each row whether an older one exists: the planner
# believes that hardly anything is pending, looks at all that is for each, and a backlog feeds itself. For the
# same reason the rows are found by their primary key: no partial index serves "not done, not dead".
_CLAIM = text(f"""
    with oldest as materialized (
        select seq, key from inbox where status = 'pending' order by seq limit :window
    )
    select {_COLUMNS}, (select count(*) from oldest) as looked_at from inbox
    where seq = any(array(select min(seq) from oldest group by key)) and status not in ('done', 'dead')
      and due_at <= now()
    order by seq limit :limit for update skip locked
""")  # noqa: S608

_COUNT_PENDING = text("select count(*) from (select from inbox where status = 'pending' limit :most) p")

_CLAIM_ONE = text(f"""
    select {_COLUMNS} from inbox where seq = :seq and status = 'pending' and due_at <= now()
    for update skip locked
""")  # noqa: S608

_MARK_DONE = text("""
    update inbox set status = 'done', done_at = now() where seq = any(cast(:seqs as bigint[]))
""")

_POSTPONE = text("""
    update inbox set attempts = attempts + :counted, due_at = now() + make_interval(secs => :wait_seconds),
           cause = :cause
    where seq = :seq and status = 'pending' and attempts = :attempts
""")

_MARK_DEAD = text("""
    update inbox set status = 'dead', attempts = attempts + 1, cause = :cause, done_at = now()
    where seq = :seq and status = 'pending' and attempts = :attempts
    returning seq
""")

_MARK_PENDING = text("""
    update inbox set status = 'pending', due_at = now(), done_at = null
    where status = 'dead' and (cast(:event_id as uuid) is null or event_id = :event_id)
    returning event_id
""")

# Rows come in the order of their time, or nearly: the first of a batch's rows that is young ends the round.
# What was set aside, or is not worked yet, stays whatever its age.
_DELETE_OLD = text("""
    with oldest as materialized (
        select seq, status, received_at, done_at from inbox where seq > :after order by seq limit :limit
    ), old as (
        select seq from inbox
        where seq = any(array(select seq from oldest where status = 'done' and done_at < :before))
          and status not in ('pending', 'dead')
        for update skip locked
    ), gone as (
        delete from inbox where seq = any(array(select seq from old)) returning seq
    )
    select (select count(*) from gone) as deleted, max(seq) as last, count(*) as looked_at,
           bool_and(received_at < :before) as is_old
    from oldest
""")

_LIST_DEAD = text("""
    select event_id, type, key, topic, partition, "offset", attempts, cause, received_at, done_at, data
    from inbox where status = 'dead' order by seq limit :limit
""")

# One look at each partial index: a single one at the table would read all that was ever worked.
_FIGURES = text("""
    select p.pending, p.oldest_seconds,
           (select count(*) from inbox where status = 'dead') as dead,
           (select count(*) from outbox where told_at is null) as untold
    from (
        select count(*) as pending,
               coalesce(extract(epoch from now() - min(received_at)), 0)::float8 as oldest_seconds
        from inbox where status = 'pending'
    ) p
""")


def _waiting(row: Any) -> Waiting:
    envelope = Envelope(
        event_id=row.event_id,
        type=row.type,
        source=row.source,
        key=row.key,
        time=row.occurred_at,
        data=row.data,
        revision=row.revision,
        traceparent=row.traceparent,
        causation_id=row.causation_id,
    )
    return Waiting(seq=row.seq, attempts=row.attempts, envelope=envelope, cause=row.cause)


async def claim_batch(session: AsyncSession, *, limit: int) -> list[Waiting]:
    """The oldest due rows that nobody holds, one of each key at most."""
    window = limit * ROWS_LOOKED_AT
    while True:
        rows = list(await session.execute(_CLAIM, {"limit": limit, "window": window}))
        if len(rows) >= limit or await _looked_at(session, rows, window) < window:
            return [_waiting(row) for row in rows]
        # Those that were looked at are others', or wait behind one that is postponed.
        window *= ROWS_LOOKED_AT


async def _looked_at(session: AsyncSession, rows: Sequence[Any], window: int) -> int:
    if rows:
        return int(rows[0].looked_at)
    return int((await session.execute(_COUNT_PENDING, {"most": window})).scalar_one())


async def claim_one(session: AsyncSession, seq: int) -> Waiting | None:
    row = (await session.execute(_CLAIM_ONE, {"seq": seq})).one_or_none()
    return None if row is None else _waiting(row)


async def mark_done(session: AsyncSession, seqs: Sequence[int]) -> None:
    await session.execute(_MARK_DONE, {"seqs": list(seqs)})


async def postpone(
    session: AsyncSession, waiting: Waiting, *, wait_seconds: float, cause: str, is_counted: bool
) -> None:
    """Leaves alone what another worker took on since this one's transaction ended."""
    values = {"seq": waiting.seq, "attempts": waiting.attempts, "cause": cause}
    await session.execute(_POSTPONE, values | {"wait_seconds": wait_seconds, "counted": int(is_counted)})


async def mark_dead(session: AsyncSession, waiting: Waiting, *, cause: str) -> bool:
    """Answers whether it is dead by this call, and not taken on by another worker meanwhile."""
    values = {"seq": waiting.seq, "attempts": waiting.attempts, "cause": cause}
    return (await session.execute(_MARK_DEAD, values)).first() is not None


async def mark_pending_again(session: AsyncSession, event_id: UUID | None) -> list[UUID]:
    """Replay one dead letter, or all of them; answers with the ids that will be worked again."""
    return list((await session.execute(_MARK_PENDING, {"event_id": event_id})).scalars())


async def list_dead(session: AsyncSession, *, limit: int = 100) -> list[Any]:
    return list(await session.execute(_LIST_DEAD, {"limit": limit}))


async def delete_old(
    session: AsyncSession, *, before: datetime, after: tuple[int] | None, limit: int
) -> Swept:
    """What was worked before a moment. An event that comes again after that is worked again: keep rows for
    longer than anybody may send one again."""
    values = {"before": before, "after": after[0] if after else 0, "limit": limit}
    row = (await session.execute(_DELETE_OLD, values)).one()
    return Swept(row.deleted, (row.last,) if row.looked_at == limit and row.is_old else None)


async def get_figures(session: AsyncSession) -> Any:
    """Row with `pending`, `dead`, `oldest_seconds` and `untold`."""
    return (await session.execute(_FIGURES)).one()
