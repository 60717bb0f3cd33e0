"""What is past its keeping time: the record of a delivery stays, its bytes and what is personal go."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.notifications.domain.keeping import IMPERSONAL

# Rows only, never a company's lock, and none that somebody else holds: it stands in nobody's way.
_FORGET_CONTENTS = text("""
    with old as (
        select id from deliveries
        where settled_at < :before and forgotten_at is null
        order by settled_at limit :limit
        for update skip locked
    )
    update deliveries d
    set content = null, forgotten_at = :now,
        context = coalesce(
            (select jsonb_object_agg(key, value) from jsonb_each(d.context)
             where key = any(cast(:kept as text[])) and jsonb_typeof(value) not in ('object', 'array')),
            '{}')
    from old where d.id = old.id
""")

_DELETE_NOTICES = text("""
    delete from team_notices where id in (
        select id from team_notices
        where added_at < :before and (digest_id is not null or dropped_at is not null)
        order by added_at limit :limit for update skip locked
    )
""")

_DELETE_DIGESTS = text("""
    delete from team_digests where id in (
        select id from team_digests
        where made_at < :before and (slack_status not in ('pending', 'sending') or expires_at < :before)
        order by made_at limit :limit for update skip locked
    )
""")


# The oldest only are looked at: what providers told holds addresses and numbers too.
_DELETE_PROVIDER_EVENTS = text("""
    delete from provider_events where seq in (
        select seq from (
            select seq, received_at, status from provider_events order by seq limit :limit
            for update skip locked
        ) oldest
        where received_at < :before and status <> 'pending'
    )
""")


async def delete_old_provider_events(session: AsyncSession, *, before: datetime, limit: int) -> int:
    return _count(await session.execute(_DELETE_PROVIDER_EVENTS, {"before": before, "limit": limit}))


async def forget_contents(session: AsyncSession, *, before: datetime, now: datetime, limit: int) -> int:
    """Of deliveries whose last word came before; answers how many."""
    values = {"before": before, "now": now, "limit": limit, "kept": sorted(IMPERSONAL)}
    return _count(await session.execute(_FORGET_CONTENTS, values))


async def delete_old_digests(session: AsyncSession, *, before: datetime, limit: int) -> int:
    """What the team was told before, and its notices; answers how many rows went."""
    values = {"before": before, "limit": limit}
    notices = _count(await session.execute(_DELETE_NOTICES, values))
    return notices + _count(await session.execute(_DELETE_DIGESTS, values))


def _count(result: object) -> int:
    return int(getattr(result, "rowcount", 0))
