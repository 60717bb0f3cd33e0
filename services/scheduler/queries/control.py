"""What people ask of routines: how they stand, pauses, runs by hand and of the past."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.scheduler.domain import Pause

_LIST_PAUSES = text("""
    select from_at, least(until_at, resumed_at) as until_at from pauses
    where routine = :routine and coalesce(least(until_at, resumed_at), 'infinity') > :since
    order by from_at
""")

_FIND_PAUSE = text("""
    select pause_id, from_at, until_at, paused_by, why from pauses
    where routine = :routine and resumed_at is null and from_at <= :now
      and coalesce(until_at, 'infinity') > :now
    order by coalesce(until_at, 'infinity') desc limit 1
""")

_ADD_PAUSE = text("""
    insert into pauses (routine, from_at, until_at, paused_by, why)
    values (:routine, :from_at, :until_at, :paused_by, :why)
""")

_END_PAUSES = text("""
    update pauses set resumed_at = :now, resumed_by = :by
    where routine = :routine and resumed_at is null and coalesce(until_at, 'infinity') > :now
    returning pause_id
""")

_LAST_RUNS = text("""
    select distinct on (routine) routine, due_at, status, why, told, skipped, finished_at from runs
    where status in ('done', 'failed') order by routine, due_at desc
""")

_OPEN_RUNS = text("""
    select routine, due_at, status from runs where status in ('planned', 'running') order by routine, due_at
""")

_RUN = (
    "routine, due_at, trigger, triggered_by, triggered_why, status, why, attempts, looked_at, told, skipped,"
    " planned_at, started_at, finished_at"
)

_LIST_RUNS = text(f"""
    select {_RUN} from runs
    where (cast(:routine as text) is null or routine = :routine)
      and (cast(:status as text) is null or status = :status)
      and (due_at, routine) < (coalesce(cast(:before_at as timestamptz), 'infinity'), cast(:before as text))
    order by due_at desc, routine desc limit :limit
""")  # noqa: S608 - our own column names

# What is done, or will be, stays as it is; what was skipped or failed is worked after all.
_ADD_RUNS = text("""
    insert into runs as r (routine, due_at, trigger, triggered_by, triggered_why, status, try_at, planned_at,
                           touched_at)
    select :routine, due_at, :trigger, :by, :why, 'planned', :now, :now, :now
    from unnest(cast(:due_at as timestamptz[])) as wanted (due_at) order by due_at
    on conflict (routine, due_at) do update set
        trigger = excluded.trigger, triggered_by = excluded.triggered_by,
        triggered_why = excluded.triggered_why, status = 'planned', why = null, attempts = 0,
        lease_until = null, try_at = excluded.try_at, started_at = null, finished_at = null,
        planned_at = excluded.planned_at, touched_at = excluded.touched_at
    where r.status in ('skipped', 'failed')
    returning due_at
""")

_LIST_STATES = text("""
    select due_at, status from runs where routine = :routine and due_at = any(cast(:due_at as timestamptz[]))
""")


async def list_pauses(session: AsyncSession, routine: str, *, since: datetime) -> list[Pause]:
    """Those that had not ended by then."""
    rows = await session.execute(_LIST_PAUSES, {"routine": routine, "since": since})
    return [Pause(row.from_at, row.until_at) for row in rows]


async def find_pause(session: AsyncSession, routine: str, now: datetime) -> Row[Any] | None:
    """The one under way: `from_at`, `until_at`, `paused_by`, `why`."""
    return (await session.execute(_FIND_PAUSE, {"routine": routine, "now": now})).one_or_none()


async def add_pause(
    session: AsyncSession, routine: str, *, from_at: datetime, until_at: datetime | None, by: str, why: str
) -> None:
    values = {"routine": routine, "from_at": from_at, "until_at": until_at, "paused_by": by, "why": why}
    await session.execute(_ADD_PAUSE, values)


async def end_pauses(session: AsyncSession, routine: str, *, now: datetime, by: str) -> int:
    """How many ended now."""
    values = {"routine": routine, "now": now, "by": by}
    return len((await session.execute(_END_PAUSES, values)).all())


async def list_last_runs(session: AsyncSession) -> list[Row[Any]]:
    """Of each routine the last one that was worked."""
    return list((await session.execute(_LAST_RUNS)).all())


async def list_open_runs(session: AsyncSession) -> list[Row[Any]]:
    return list((await session.execute(_OPEN_RUNS)).all())


async def list_runs(
    session: AsyncSession,
    *,
    routine: str | None = None,
    status: str | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int,
) -> list[Row[Any]]:
    """Latest first; `before` is the (due_at, routine) of the last row of the page before."""
    before_at, before_routine = before or (None, "")
    values = {
        "routine": routine,
        "status": status,
        "before_at": before_at,
        "before": before_routine,
        "limit": limit,
    }
    return list((await session.execute(_LIST_RUNS, values)).all())


async def add_runs(
    session: AsyncSession,
    routine: str,
    slots: Sequence[datetime],
    *,
    trigger: str,
    by: str,
    why: str,
    now: datetime,
) -> list[datetime]:
    """Answers with the moments that will be worked because of this."""
    values = {
        "routine": routine,
        "due_at": list(slots),
        "trigger": trigger,
        "by": by,
        "why": why,
        "now": now,
    }
    return sorted((await session.execute(_ADD_RUNS, values)).scalars())


async def list_states(session: AsyncSession, routine: str, slots: Sequence[datetime]) -> dict[datetime, str]:
    """The statuses of those moments that have a run."""
    rows = await session.execute(_LIST_STATES, {"routine": routine, "due_at": list(slots)})
    return {row.due_at: row.status for row in rows}
