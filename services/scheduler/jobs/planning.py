"""Works out which moments have become due since the last one, and writes each down once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Database, Uow
from libs.common.events.scheduler import RoutineRan, RoutineWatched
from services.scheduler import domain, queries
from services.scheduler.domain import LOOK_BACK, CatchUp, Routine

log = logging.getLogger("relance.scheduler")

AT_ONCE = 5000
"""Moments planned in one transaction."""

# What watches the routines counts in minutes: a routine of every few seconds need not tell each run.
TOLD_EVERY = timedelta(seconds=30)

_A_MOMENT = timedelta(microseconds=1)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Planner:
    """Keeps in mind when each routine is next due, so that most turns ask the database nothing."""

    def __init__(self, database: Database, routines: Sequence[Routine]) -> None:
        self._database = database
        self._routines = routines
        self._next: dict[str, datetime] = {}
        self._is_begun = False

    async def plan_all(self) -> None:
        if not self._is_begun:
            await self._switch_off_others()
        now = self._database.clock()
        for routine in self._routines:
            if self._next.get(routine.name, _LONG_AGO) <= now:
                await self._plan(routine)

    async def _switch_off_others(self) -> None:
        """Nobody is to wait for a routine that is off."""
        names = [routine.name for routine in self._routines]
        async with self._database.begin() as uow:
            for name in await queries.switch_off(uow.session, names):
                await uow.publish(RoutineWatched(routine=name, at=uow.now, expected_by=None, why="off"))
        self._is_begun = True

    async def _plan(self, routine: Routine) -> None:
        while True:
            async with self._database.begin() as uow:
                planned_until = await find_planned_until(uow, routine)
                if planned_until is None:
                    return  # another scheduler is at it
                has_more = await plan_until_now(uow, routine, planned_until)
                now = uow.now
            if not has_more:
                self._next[routine.name] = routine.next_slot(now)
                return

    async def tell_ran(self, uow: Uow, ran: RoutineRan, *, at_once: bool = False) -> None:
        if await queries.mark_told(uow.session, ran.routine, now=uow.now, every=TOLD_EVERY) or at_once:
            await uow.publish(ran)


async def find_planned_until(uow: Uow, routine: Routine) -> datetime | None:
    """Up to when it is planned, held until the transaction ends; None while another one holds it.

    A routine that is new, or was off, begins with the last moment that has passed.
    """
    latest = routine.latest_slot(uow.now)
    if await queries.add_routine(uow.session, routine.name, latest - _A_MOMENT):
        expected_by = routine.expected_by(uow.now)
        await uow.publish(RoutineWatched(routine=routine.name, at=uow.now, expected_by=expected_by, why="on"))
    return await queries.lock_routine(uow.session, routine.name)


async def plan_until_now(uow: Uow, routine: Routine, planned_until: datetime) -> bool:
    """Some thousand moments, oldest first; answers whether more have passed."""
    begin = planned_until
    if begin < uow.now - LOOK_BACK:
        begin = uow.now - LOOK_BACK
        log.warning("%s: what was due before %s is not made up for", routine.name, begin.isoformat())
    slots = list(islice(routine.slots_between(begin, uow.now), AT_ONCE + 1))
    has_more = len(slots) > AT_ONCE
    slots = slots[:AT_ONCE]
    if slots:
        await _add(uow.session, routine, slots, begin, uow.now, more_follow=has_more)
    return has_more


async def _add(
    session: AsyncSession,
    routine: Routine,
    slots: Sequence[datetime],
    begin: datetime,
    now: datetime,
    *,
    more_follow: bool,
) -> None:
    plans = domain.plan(
        routine,
        slots,
        now,
        pauses=await queries.list_pauses(session, routine.name, since=begin),
        is_running=await queries.is_running(session, routine.name),
        more_follow=more_follow,
    )
    await queries.add_plans(
        session, routine.name, plans, [routine.begins_at(plan.due_at) for plan in plans], now
    )
    to_work = [plan.due_at for plan in plans if plan.why is None]
    if to_work and routine.catch_up is CatchUp.LATEST:
        await queries.mark_superseded(session, routine.name, by=to_work[-1], now=now)
    await queries.delete_old_runs(session, routine.name, before=now - LOOK_BACK)
    skipped = len(plans) - len(to_work)
    if skipped:
        log.info("%s: %s moments to work, %s skipped", routine.name, len(to_work), skipped)
