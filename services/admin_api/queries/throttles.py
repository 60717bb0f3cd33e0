"""How often somebody tried to sign in, counted in the database: several processes count together."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.swept import Swept

_TAKE_TRY = text("""
    insert into login_throttles as t (subject, tries, until) values (:subject, 1, :until)
    on conflict (subject) do update set
        tries = case when t.until <= :now then 1 else t.tries + 1 end,
        until = case when t.until <= :now then excluded.until else t.until end
    returning tries, until
""")
_GIVE_BACK = text("update login_throttles set tries = tries - 1 where subject = :subject and tries > 0")
_FORGET = text("delete from login_throttles where subject = :subject")
_DELETE_OLD = text("""
    with old as (
        select subject from login_throttles where until < :before order by until limit :limit
        for update skip locked
    )
    delete from login_throttles using old where login_throttles.subject = old.subject
""")


class Tries(NamedTuple):
    """How many there were in the window, this one counted; when the window ends."""

    tries: int
    until: datetime


async def take_try(session: AsyncSession, subject: str, *, now: datetime, window: timedelta) -> Tries:
    """Counted before it is known what becomes of it: those who try at once get a number each."""
    values = {"subject": subject, "now": now, "until": now + window}
    row = (await session.execute(_TAKE_TRY, values)).one()
    return Tries(row.tries, row.until)


async def give_try_back(session: AsyncSession, subject: str) -> None:
    await session.execute(_GIVE_BACK, {"subject": subject})


async def forget_tries(session: AsyncSession, subject: str) -> None:
    await session.execute(_FORGET, {"subject": subject})


async def delete_old_throttles(
    session: AsyncSession, *, before: datetime, after: tuple[Any, ...] | None, limit: int
) -> Swept:
    """Windows that ended before; a sweep of the housekeeping."""
    result = await session.execute(_DELETE_OLD, {"before": before, "limit": limit})
    deleted = int(getattr(result, "rowcount", 0))
    return Swept(deleted=deleted, place=(before,) if deleted == limit else None)
