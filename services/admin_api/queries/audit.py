"""What somebody did: added in the transaction of what was done, never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

_ADD_AUDIT = text("""
    insert into audit (at, who, role, admin_id, session_id, address, action, subject, company_id, reason,
                       details)
    values (:at, :who, :role, :admin_id, :session_id, :address, :action, :subject, :company_id, :reason,
            cast(:details as jsonb))
""")

# The actions there are, by jumps through the index: as many reads as there are actions.
_LIST_ACTIONS = text("""
    with recursive known as (
        (select action from audit order by action limit 1)
        union all
        select (select action from audit where action > known.action order by action limit 1)
        from known where known.action is not null
    )
    select action from known where action is not null
""")


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing done: by whom, from where, on what, why. `subject`: what it was done to, such as
    `number:+331…`."""

    who: str
    action: str
    role: str | None = None
    admin_id: UUID | None = None
    session_id: UUID | None = None
    address: str | None = None
    subject: str | None = None
    company_id: UUID | None = None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WantedDeeds:
    """Which rows of the audit: all that is not None must hold. `since` and `before` in time."""

    who: str | None = None
    action: str | None = None
    subject: str | None = None
    company_id: UUID | None = None
    since: datetime | None = None
    before: datetime | None = None


async def add_audit(session: AsyncSession, deed: Deed, at: datetime) -> None:
    values = {name: getattr(deed, name) for name in Deed.__slots__}
    await session.execute(_ADD_AUDIT, {**values, "details": json.dumps(dict(deed.details)), "at": at})


_CONDITIONS = {
    "who": "who = :who",
    "action": "action = :action",
    "subject": "subject = :subject",
    "company_id": "company_id = :company_id",
    "since": "at >= :since",
    "before": "at < :before",
}


async def list_audit(
    session: AsyncSession, wanted: WantedDeeds, *, before_id: int | None, limit: int
) -> list[Row[Any]]:
    """Latest first, those before the row `before_id`."""
    values = {name: getattr(wanted, name) for name in _CONDITIONS if getattr(wanted, name) is not None}
    conditions = [_CONDITIONS[name] for name in values]
    if before_id is not None:
        conditions.append("audit_id < :before_id")
        values["before_id"] = before_id
    statement = f"""
        select audit_id, at, who, role, address, action, subject, company_id, reason, details from audit
        where {" and ".join(conditions) or "true"} order by audit_id desc limit :limit
    """  # noqa: S608 - our own fragments
    return list((await session.execute(text(statement), {**values, "limit": limit})).all())


async def list_actions(session: AsyncSession) -> list[str]:
    return list((await session.execute(_LIST_ACTIONS)).scalars())
