"""Moments of routines that are not about a company."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# The latest moment only: an older one, by a clock that is behind, is not told after a newer one.
_ADD_SLOT = text("""
    insert into slots (routine, due_at, told_at)
    select :routine, :due_at, :now
    where not exists (select from slots where routine = :routine and due_at >= :due_at)
    on conflict do nothing
    returning due_at
""")

_DELETE_OLD_SLOTS = text("delete from slots where routine = :routine and due_at < :before")


async def add_slot(session: AsyncSession, routine: str, *, due_at: datetime, now: datetime) -> bool:
    """Answers whether this moment is new, hence to be told."""
    values = {"routine": routine, "due_at": due_at, "now": now}
    return (await session.execute(_ADD_SLOT, values)).first() is not None


async def delete_old_slots(session: AsyncSession, routine: str, *, before: datetime) -> None:
    await session.execute(_DELETE_OLD_SLOTS, {"routine": routine, "before": before})
