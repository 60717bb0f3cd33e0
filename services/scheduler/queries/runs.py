"""Runs of routines: planned once each, claimed with a lease and a fence, finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.scheduler.domain import Plan, RunStatus, Trigger

_ADD_ROUTINE = text("""
    insert into routines (routine, planned_until) values (:routine, :planned_until)
    on conflict (routine) do update set is_on = true, planned_until = excluded.planned_until
    where not routines.is_on
    returning routine
""")

_LOCK_ROUTINE = text("""
    select planned_until from routines where routine = :routine for update skip locked
""")

_SET_PLANNED_UNTIL = text("update routines set planned_until = :planned_until where routine = :routine")

_SWITCH_OFF = text("""
    update routines set is_on = false where is_on and routine <> all(cast(:names as text[]))
    returning routine
""")

_ADD_PLANS = text("""
    insert into runs (routine, due_at, trigger, status, why, try_at, planned_at, finished_at, touched_at)
    select :routine, due_at, 'schedule', case when why is null then 'planned' else 'skipped' end, why,
           begins_at, :now, case when why is not null then cast(:now as timestamptz) end, :now
    from unnest(cast(:due_at as timestamptz[]), cast(:begins_at as timestamptz[]), cast(:whys as text[]))
        as plan (due_at, begins_at, why)
    order by due_at
    on conflict (routine, due_at) do nothing
""")

_SUPERSEDE = text("""
    update runs set status = 'skipped', why = 'superseded', finished_at = :now, touched_at = :now
    where routine = :routine and status = 'planned' and trigger = 'schedule' and due_at < :due_at
    returning due_at
""")

_FORGET = text("""
    delete from runs where routine = :routine and due_at < :before and planned_at < :before
      and status in ('done', 'skipped', 'failed')
""")

_MARK_TOLD = text("""
    update routines set ran_told_at = :now
    where routine = :routine and (ran_told_at is null or ran_told_at not between :since and :now)
    returning routine
""")

_IS_RUNNING = text("select true from runs where routine = :routine and status = 'running' limit 1")


@dataclass(frozen=True, slots=True)
class Run:
    """A run in hand. The fence rises with every claim: what an older claim writes is refused."""

    routine: str
    due_at: datetime
    trigger: Trigger
    fence: int
    attempts: int
    told: int
    skipped: int


async def add_routine(session: AsyncSession, routine: str, planned_until: datetime) -> bool:
    """Where it begins, if it is new or was off; answers whether it is."""
    values = {"routine": routine, "planned_until": planned_until}
    return (await session.execute(_ADD_ROUTINE, values)).first() is not None


async def lock_routine(session: AsyncSession, routine: str) -> datetime | None:
    """Up to when its moments are planned; None while another scheduler is planning them."""
    row = (await session.execute(_LOCK_ROUTINE, {"routine": routine})).one_or_none()
    return None if row is None else row.planned_until


async def switch_off(session: AsyncSession, names_on: Sequence[str]) -> list[str]:
    """The routines that are not among these any more."""
    return list((await session.execute(_SWITCH_OFF, {"names": list(names_on)})).scalars())


async def add_plans(
    session: AsyncSession, routine: str, plans: Sequence[Plan], begins_at: Sequence[datetime], now: datetime
) -> None:
    """Each moment once; planned up to the last of them."""
    values = {
        "routine": routine,
        "due_at": [plan.due_at for plan in plans],
        "begins_at": list(begins_at),
        "whys": [plan.why for plan in plans],
        "now": now,
    }
    await session.execute(_ADD_PLANS, values)
    await session.execute(_SET_PLANNED_UNTIL, {"routine": routine, "planned_until": plans[-1].due_at})


async def mark_superseded(
    session: AsyncSession, routine: str, *, by: datetime, now: datetime
) -> list[datetime]:
    """Runs of the schedule that wait, and are older than this one."""
    values = {"routine": routine, "due_at": by, "now": now}
    return list((await session.execute(_SUPERSEDE, values)).scalars())


async def delete_old_runs(session: AsyncSession, routine: str, *, before: datetime) -> None:
    await session.execute(_FORGET, {"routine": routine, "before": before})


async def mark_told(session: AsyncSession, routine: str, *, now: datetime, every: timedelta) -> bool:
    """Whether it is long enough ago that a run of it was told; if so, it is told now."""
    values = {"routine": routine, "now": now, "since": now - every}
    return (await session.execute(_MARK_TOLD, values)).first() is not None


async def is_running(session: AsyncSession, routine: str) -> bool:
    return (await session.execute(_IS_RUNNING, {"routine": routine})).first() is not None


# One claim at a time: two that saw no run of a routine would each begin one.
_LOCK_CLAIMS = text("select pg_advisory_xact_lock(hashtext(current_schema() || '.runs'))")

# A row that was touched well after now is from before a clock went back: its lease and its wait mean nothing.
_CLAIM = text("""
    with found as (
        select routine, due_at from runs r
        where status in ('planned', 'running') and routine = any(cast(:names as text[]))
          and ((try_at <= :now and (lease_until is null or lease_until <= :now)) or touched_at > :too_new)
          and due_at <= :now
          and (status = 'running' or not exists (
              select from runs o where o.routine = r.routine and o.status = 'running'))
        order by due_at, routine limit 1 for update skip locked
    )
    update runs r set status = 'running', fence = fence + 1, lease_until = :lease_until, touched_at = :now,
                      started_at = coalesce(started_at, :now)
    from found where r.routine = found.routine and r.due_at = found.due_at
    returning r.routine, r.due_at, r.trigger, r.fence, r.attempts, r.told, r.skipped
""")

_PROLONG = text("""
    update runs set lease_until = :lease_until, touched_at = :now, looked_at = looked_at + :looked_at,
                    told = told + :told, skipped = skipped + :skipped
    where routine = :routine and due_at = :due_at and fence = :fence and status = 'running'
    returning told, skipped
""")

_END = text("""
    update runs set status = :status, why = :why, lease_until = null, touched_at = :now, finished_at = :now
    where routine = :routine and due_at = :due_at and fence = :fence and status = 'running'
    returning told, skipped
""")

_RELEASE = text("""
    update runs set status = 'planned', lease_until = null, touched_at = :now, try_at = :try_at,
                    attempts = attempts + :failures
    where routine = :routine and due_at = :due_at and fence = :fence and status = 'running'
    returning attempts
""")

_HOLD_WORK = text(
    "select pg_advisory_xact_lock(hashtext(current_schema() || '.routine'), hashtext(:routine))"
)

_LIMIT_AND_HOLD_WORK = text("""
    select set_config('idle_in_transaction_session_timeout', :milliseconds, true),
           pg_advisory_xact_lock(hashtext(current_schema() || '.routine'), hashtext(:routine))
""")


async def claim_run(
    session: AsyncSession, names: Sequence[str], *, now: datetime, lease: timedelta
) -> Run | None:
    """The oldest run of these routines that waits, or whose holder gave no sign of life for the lease."""
    await session.execute(_LOCK_CLAIMS)
    values = {"names": list(names), "now": now, "lease_until": now + lease, "too_new": now + lease}
    row = (await session.execute(_CLAIM, values)).one_or_none()
    return None if row is None else Run(**{**row._mapping, "trigger": Trigger(row.trigger)})


async def hold_work(session: AsyncSession, routine: str, *, idle: timedelta | None = None) -> None:
    """Until the transaction ends nobody else works this routine, nor previews it.

    `idle`: PostgreSQL ends the transaction of a process that falls silent for so long, such as one whose
    machine is gone: its locks would last until TCP notices.
    """
    if idle is None:
        await session.execute(_HOLD_WORK, {"routine": routine})
        return
    milliseconds = str(max(1, round(idle.total_seconds() * 1000)))
    await session.execute(_LIMIT_AND_HOLD_WORK, {"routine": routine, "milliseconds": milliseconds})


def _key(run: Run) -> dict[str, Any]:
    return {"routine": run.routine, "due_at": run.due_at, "fence": run.fence}


async def prolong_run(
    session: AsyncSession, run: Run, *, now: datetime, lease: timedelta, counts: Mapping[str, int]
) -> Row[Any] | None:
    """The lease anew, and what a batch did (`looked_at`, `told`, `skipped`); answers with the sums, or None
    when somebody else has claimed it since."""
    values = {**_key(run), "now": now, "lease_until": now + lease, **counts}
    return (await session.execute(_PROLONG, values)).one_or_none()


async def end_run(
    session: AsyncSession, run: Run, status: RunStatus, *, now: datetime, why: str | None = None
) -> Row[Any] | None:
    """Its sums of `told` and `skipped`; None when somebody else has claimed it since."""
    values = {**_key(run), "status": status, "why": why, "now": now}
    return (await session.execute(_END, values)).one_or_none()


async def release_run(
    session: AsyncSession, run: Run, *, now: datetime, try_at: datetime, failures: int = 0
) -> None:
    values = {**_key(run), "now": now, "try_at": try_at, "failures": failures}
    await session.execute(_RELEASE, values)
