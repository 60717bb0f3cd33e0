"""The walk through Stripe's list of events: its one row, and what it found missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.stripe import stripe_event_uuid
from libs.integrations.stripe import StripeEvent
from services.billing.domain.walk import STRIPE_REMEMBERS
from services.billing.records import BY_RECONCILIATION


@dataclass(frozen=True, slots=True)
class WalkRow:
    """The walk as stored. `fence` is the claim's number: a write under an older one changes nothing."""

    stage: str
    wanted_at: datetime | None
    causation_id: UUID | None
    traceparent: str | None
    reached_at: datetime | None
    newest_at: datetime | None
    began_at: datetime | None
    since: datetime | None
    length: timedelta
    listed: int
    invoices_after: str | None
    fence: int
    failures: int


_WANT = text("""
    update stripe_walk
    set wanted_at = :wanted_at, causation_id = cast(:causation_id as uuid),
        traceparent = cast(:traceparent as text)
    where wanted_at is null or wanted_at < :wanted_at
""")

_CLAIM = text("""
    update stripe_walk set fence = fence + 1, lease_until = now() + make_interval(secs => :lease_seconds)
    where account = (
        select account from stripe_walk
        where (stage <> 'idle' or wanted_at is not null) and due_at <= now()
          and (lease_until is null or lease_until <= now())
        for update skip locked
    )
    returning *
""")

_HOLD_ON = text("""
    update stripe_walk set lease_until = now() + make_interval(secs => :lease_seconds)
    where fence = :fence returning account
""")

# What was asked for while the walk was under way is a walk of its own.
_SAVE = text("""
    update stripe_walk
    set stage = :stage, reached_at = :reached_at, newest_at = :newest_at, began_at = :began_at,
        since = :since, length_seconds = :length_seconds, listed = :listed, invoices_after = :invoices_after,
        wanted_at = case when :is_begun and wanted_at = cast(:wanted_at as timestamptz) then null
                    else wanted_at end,
        finished_at = case when :is_finished then now() else finished_at end,
        lease_until = null, due_at = now(), failures = 0, last_failure = null
    where fence = :fence returning account
""")

_RELEASE = text("""
    update stripe_walk
    set lease_until = null, due_at = now() + make_interval(secs => :wait_seconds), failures = failures + 1,
        last_failure = :failure
    where fence = :fence
""")

# What is in the inbox is taken in, worked or not; what was worked long ago may have left it.
_LIST_UNKNOWN = text("""
    select asked.id
    from unnest(cast(:ids as text[]), cast(:event_ids as uuid[])) with ordinality as asked (id, event_id, n)
    where not exists (select from inbox where inbox.event_id = asked.event_id)
      and not exists (select from stripe_events where stripe_event_id = asked.id)
    order by asked.n
""")

_ADD_MISSED = text("""
    insert into missed_events (stripe_event_id, event_id, type, created_at, found_at, outcome)
    select * from unnest(
        cast(:ids as text[]), cast(:event_ids as uuid[]), cast(:types as text[]),
        cast(:created_at as timestamptz[]), cast(:found_at as timestamptz[]), cast(:outcomes as text[])
    )
    on conflict (stripe_event_id) do nothing
""")

# Recovered is only what the inbox took from a record of the reconciliation: a webhook that was merely late
# may have been there first.
_SETTLE_MISSED = text("""
    update missed_events m
    set outcome = case when i.source = :source then 'recovered' else 'came_after_all' end
    from inbox i where m.outcome is null and i.event_id = m.event_id
""")

_FIGURES = text("""
    select w.stage, w.wanted_at, w.reached_at, w.newest_at, w.began_at, w.finished_at, w.failures,
           w.last_failure, m.missing, m.recovered, m.came_after_all, m.too_large
    from stripe_walk w, (
        select count(*) filter (where outcome is distinct from 'came_after_all') as missing,
               count(*) filter (where outcome = 'recovered') as recovered,
               count(*) filter (where outcome = 'came_after_all') as came_after_all,
               count(*) filter (where outcome = 'too_large') as too_large
        from missed_events
    ) m
""")

_COUNT_RECEIVED = text("select count(*) from stripe_events where created_at >= :since")


async def mark_wanted(
    session: AsyncSession, wanted_at: datetime, *, causation_id: UUID | None, traceparent: str | None
) -> None:
    """Ask for a walk; an older wish than one that waits changes nothing."""
    values = {"wanted_at": wanted_at, "causation_id": causation_id, "traceparent": traceparent}
    await session.execute(_WANT, values)


async def claim_walk(session: AsyncSession, *, lease_seconds: float) -> WalkRow | None:
    """The walk, if one is under way or asked for and nobody else is at it."""
    row = (await session.execute(_CLAIM, {"lease_seconds": lease_seconds})).one_or_none()
    return None if row is None else _walk_row(row)


def _walk_row(row: Any) -> WalkRow:
    return WalkRow(
        stage=row.stage,
        wanted_at=row.wanted_at,
        causation_id=row.causation_id,
        traceparent=row.traceparent,
        reached_at=row.reached_at,
        newest_at=row.newest_at,
        began_at=row.began_at,
        since=row.since,
        length=timedelta(seconds=row.length_seconds),
        listed=row.listed,
        invoices_after=row.invoices_after,
        fence=row.fence,
        failures=row.failures,
    )


async def hold_on(session: AsyncSession, walk: WalkRow, *, lease_seconds: float) -> bool:
    """A sign of life of the claimant; answers whether the claim still stands."""
    values = {"fence": walk.fence, "lease_seconds": lease_seconds}
    return (await session.execute(_HOLD_ON, values)).first() is not None


async def save_walk(session: AsyncSession, walk: WalkRow, *, is_begun: bool = False) -> bool:
    """Where the walk is, and let go of it; `idle` ends it. Answers whether the claim still stood.

    `is_begun`: the wish that the claim saw is granted by this walk.
    """
    values = {
        "stage": walk.stage,
        "reached_at": walk.reached_at,
        "newest_at": walk.newest_at,
        "began_at": walk.began_at,
        "since": walk.since,
        "length_seconds": int(walk.length.total_seconds()),
        "listed": walk.listed,
        "invoices_after": walk.invoices_after,
        "wanted_at": walk.wanted_at,
        "is_begun": is_begun,
        "is_finished": walk.stage == "idle",
        "fence": walk.fence,
    }
    return (await session.execute(_SAVE, values)).first() is not None


async def release_walk(session: AsyncSession, walk: WalkRow, *, wait_seconds: float, failure: str) -> None:
    values = {"fence": walk.fence, "wait_seconds": wait_seconds, "failure": failure}
    await session.execute(_RELEASE, values)


async def list_unknown(session: AsyncSession, stripe_event_ids: Sequence[str]) -> set[str]:
    """Those of the events that billing has not taken in."""
    values = {
        "ids": list(stripe_event_ids),
        "event_ids": [stripe_event_uuid(id_) for id_ in stripe_event_ids],
    }
    return set((await session.execute(_LIST_UNKNOWN, values)).scalars())


async def add_missed(
    session: AsyncSession, missed: Sequence[tuple[StripeEvent, str | None]], found_at: datetime
) -> None:
    """Events that were found missing, each with its outcome if it has one already."""
    events = [event for event, _ in missed]
    values = {
        "ids": [event.id for event in events],
        "event_ids": [stripe_event_uuid(event.id) for event in events],
        "types": [event.type for event in events],
        "created_at": [event.created_at for event in events],
        "found_at": [found_at for _ in events],
        "outcomes": [outcome for _, outcome in missed],
    }
    await session.execute(_ADD_MISSED, values)


async def settle_missed(session: AsyncSession) -> None:
    """Note of what was missing how it came in after all."""
    await session.execute(_SETTLE_MISSED, {"source": BY_RECONCILIATION})


async def get_figures(session: AsyncSession) -> Any:
    """Row of the walk (`stage`, `finished_at`, `newest_at`, …) and of what it found (`missing`, `recovered`,
    `came_after_all`, `too_large`)."""
    return (await session.execute(_FIGURES)).one()


async def count_received(session: AsyncSession, now: datetime) -> int:
    """Events taken in, of those that Stripe still lists."""
    return int((await session.execute(_COUNT_RECEIVED, {"since": now - STRIPE_REMEMBERS})).scalar_one())
