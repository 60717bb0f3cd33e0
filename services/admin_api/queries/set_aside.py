"""Read model: events that a service could not work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.operations import EventSetAside
from libs.common.router import Heard

# An event that was replayed in vain is set aside again, with more attempts: the last time is what is shown.
_FOLD_SET_ASIDE = text("""
    insert into set_aside as s (service, event_id, type, key, cause, attempts, at, traceparent)
    select distinct on (service, event_id) service, event_id, type, key, cause, attempts, at, traceparent
    from unnest(
        cast(:services as text[]), cast(:event_ids as uuid[]), cast(:types as text[]), cast(:keys as text[]),
        cast(:causes as text[]), cast(:attempts as int[]), cast(:at as timestamptz[]),
        cast(:traceparents as text[])
    ) as heard (service, event_id, type, key, cause, attempts, at, traceparent)
    order by service, event_id, attempts desc
    on conflict (service, event_id) do update set
        type = excluded.type, key = excluded.key, cause = excluded.cause, attempts = excluded.attempts,
        at = excluded.at, traceparent = excluded.traceparent
    where s.attempts < excluded.attempts
""")


async def fold_set_aside(session: AsyncSession, heard: Sequence[Heard[EventSetAside]]) -> None:
    await session.execute(
        _FOLD_SET_ASIDE,
        {
            "services": [h.event.service for h in heard],
            "event_ids": [h.event.set_aside_event_id for h in heard],
            "types": [h.event.set_aside_type for h in heard],
            "keys": [h.event.set_aside_key for h in heard],
            "causes": [h.event.cause for h in heard],
            "attempts": [h.event.attempts for h in heard],
            "at": [h.event.set_aside_at for h in heard],
            "traceparents": [h.envelope.traceparent for h in heard],
        },
    )


_LIST_SET_ASIDE = text("""
    select service, event_id, type, key, cause, attempts, at from set_aside
    where (at, event_id, service) < (coalesce(cast(:before_at as timestamptz), 'infinity'),
                                     cast(:before_id as uuid), cast(:before_service as text))
      and (cast(:service as text) is null or service = :service)
    order by at desc, event_id desc, service desc limit :limit
""")


_COUNT_SET_ASIDE = text("select count(*) from (select from set_aside limit :most) counted")


async def count_set_aside(session: AsyncSession, *, most: int) -> int:
    """Up to `most`, at which counting ends."""
    return int((await session.execute(_COUNT_SET_ASIDE, {"most": most})).scalar_one())


async def list_set_aside(
    session: AsyncSession,
    *,
    before: tuple[datetime, UUID, str] | None,
    limit: int,
    service: str | None = None,
) -> list[Row[Any]]:
    """Newest first, from after the place (`at`, `event_id`, `service`) where the page before ended; of one
    service or of all."""
    before_at, before_id, before_service = before or (None, None, None)
    values = {
        "before_at": before_at,
        "before_id": before_id,
        "before_service": before_service,
        "limit": limit,
        "service": service,
    }
    return list((await session.execute(_LIST_SET_ASIDE, values)).all())


_FIND_SET_ASIDE = text("""
    select service, event_id, type, key, cause, attempts, at, traceparent from set_aside
    where service = :service and event_id = :event_id
""")


async def find_set_aside(session: AsyncSession, service: str, event_id: UUID) -> Row[Any] | None:
    return (await session.execute(_FIND_SET_ASIDE, {"service": service, "event_id": event_id})).first()
