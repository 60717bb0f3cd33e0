"""All that happened to a company, as far as this service knows: one list, latest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession


class TimelinePlace(NamedTuple):
    """Where a page ended: its last row."""

    at: datetime
    source: str
    id: str


def _before(at: str, source: str, ident: str) -> str:
    """What comes after a place; the first half is for the index."""
    place = "(:before_at, cast(:before_source as text), cast(:before_id as text))"
    return f"""(cast(:before_at as timestamptz) is null
        or {at} <= :before_at and ({at}, '{source}', {ident}) < {place})"""


_AUDIT_ID = "lpad(cast(audit_id as text), 19, '0')"
_OURS = "company_id = any(cast(:company_ids as uuid[]))"

# Each branch is ordered and limited by itself, so that it reads a page of its index however much is behind.
_LIST_TIMELINE = text(f"""
    select happened.*, cause.type as cause_type from (
        (select first_at as at, 'delivery' as source, cast(delivery_id as text) as id, kind as what, status,
                detail, channel as by, cause_id
         from deliveries where {_OURS} and {_before("first_at", "delivery", "cast(delivery_id as text)")}
         order by first_at desc, delivery_id desc limit :limit)
        union all
        (select at, 'fact', cast(event_id as text), type, null, said, null, cause_id
         from company_facts where {_OURS} and {_before("at", "fact", "cast(event_id as text)")}
         order by at desc, event_id desc limit :limit)
        union all
        (select at, 'audit', {_AUDIT_ID}, action, null, reason, who, null
         from audit where {_OURS} and {_before("at", "audit", _AUDIT_ID)}
         order by at desc, audit_id desc limit :limit)
        union all
        (select assigned_at, 'assigned', number, number, null, null, null, null
         from assignments where {_OURS} and {_before("assigned_at", "assigned", "number")}
         order by assigned_at desc, number desc limit :limit)
        union all
        (select released_at, 'released', number, number, null, why, released_by, null
         from assignments
         where released_at is not null and {_OURS} and {_before("released_at", "released", "number")}
         order by released_at desc, number desc limit :limit)
    ) happened left join company_facts cause on cause.event_id = happened.cause_id
    order by happened.at desc, happened.source desc, happened.id desc limit :limit
""")  # noqa: S608 - our own fragments


async def list_timeline(
    session: AsyncSession, company_ids: Sequence[UUID], *, before: TimelinePlace | None, limit: int
) -> list[Row[Any]]:
    """`source`: delivery, fact, audit, assigned or released; `id`, `what`, `status`, `detail`, `by`: of it.
    `cause_id` and `cause_type`: the fact that caused it, where it was heard."""
    before_at, before_source, before_id = before or (None, None, None)
    values = {
        "company_ids": list(company_ids),
        "before_at": before_at,
        "before_source": before_source,
        "before_id": before_id,
        "limit": limit,
    }
    return list((await session.execute(_LIST_TIMELINE, values)).all())
