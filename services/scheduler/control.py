"""What people ask of routines, by command or by HTTP: look, pause, resume, run, backfill, forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from libs.common.database import Database, Uow
from libs.common.errors import RelanceError
from libs.common.events.scheduler import RoutineWatched
from services.scheduler import domain, queries
from services.scheduler.domain import Coming, Horizon, Routine, RunStatus, Trigger
from services.scheduler.domain.coming import Place
from services.scheduler.jobs.work import Work

MOST_SLOTS = 1000
"""Of one backfill."""


class RefusedError(RelanceError):
    """What was asked for cannot be; the message says what, of which routine, and what to do."""


@dataclass(frozen=True, slots=True)
class Held:
    """A pause under way."""

    from_at: datetime
    until_at: datetime | None
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class LastRun:
    due_at: datetime
    status: str
    why: str | None
    told: int
    skipped: int
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a routine stands: when it is next due, what was last, what is in hand, whether it is paused."""

    name: str
    sentence: str
    schedule: str
    working_days_only: bool
    catch_up: str
    is_on: bool
    next_at: datetime | None
    last: LastRun | None
    waiting: int
    running_since: datetime | None
    pause: Held | None


@dataclass(frozen=True, slots=True)
class Slot:
    """A moment of a backfill: `state` is that of its run before, None where there is none. `told` and
    `skipped` are what it would come to, in a preview; a moment that is done already is left as it is."""

    due_at: datetime
    state: str | None
    is_worked: bool
    told: int | None = None
    skipped: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A line of a forecast, and the routine's moment at which it will be told."""

    coming: Coming
    tells_at: datetime


class Control:
    """Raises RefusedError for whatever cannot be done."""

    def __init__(self, database: Database, routines: Sequence[Routine], works: Mapping[str, Work]) -> None:
        self._database = database
        self._routines = {routine.name: routine for routine in routines}
        self._works = works

    async def list_standings(self) -> list[Standing]:
        async with self._database.begin() as uow:
            last = {row.routine: row for row in await queries.list_last_runs(uow.session)}
            open_runs = await queries.list_open_runs(uow.session)
            pauses = {name: await queries.find_pause(uow.session, name, uow.now) for name in self._routines}
        return [
            Standing(
                name=routine.name,
                sentence=routine.sentence,
                schedule=routine.schedule.text(),
                working_days_only=routine.working_days_only,
                catch_up=routine.catch_up,
                is_on=routine.is_on,
                next_at=routine.next_slot(uow.now) if routine.is_on else None,
                last=_last_run(last.get(routine.name)),
                waiting=sum(r.routine == routine.name and r.status == "planned" for r in open_runs),
                running_since=next(
                    (r.due_at for r in open_runs if r.routine == routine.name and r.status == "running"), None
                ),
                pause=_held(pauses[routine.name]),
            )
            for routine in self._routines.values()
        ]

    async def list_runs(
        self,
        *,
        routine: str | None = None,
        status: str | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int,
    ) -> Sequence[Row[Any]]:
        """Latest first."""
        if routine is not None:
            self._get(routine)
        async with self._database.begin() as uow:
            return await queries.list_runs(
                uow.session, routine=routine, status=status, before=before, limit=limit
            )

    async def pause(self, name: str, *, until: datetime | None, by: str, why: str) -> None:
        """What is in hand stops after its batch; what was planned is skipped, with that reason."""
        routine = self._get(name)
        async with self._database.begin() as uow:
            if until is not None and until <= uow.now:
                raise RefusedError(f"{name} cannot be paused until {until.isoformat()}: that is past")
            await queries.add_pause(uow.session, name, from_at=uow.now, until_at=until, by=by, why=why)
            expected_by = None if until is None else routine.expected_by(until)
            await uow.publish(
                RoutineWatched(
                    routine=name, at=uow.now, expected_by=expected_by, why="paused", by=by, said=why
                )
            )

    async def resume(self, name: str, *, by: str) -> None:
        routine = self._get(name)
        async with self._database.begin() as uow:
            if not await queries.end_pauses(uow.session, name, now=uow.now, by=by):
                raise RefusedError(f"{name} is not paused")
            expected_by = routine.expected_by(uow.now) if routine.is_on else None
            await uow.publish(
                RoutineWatched(routine=name, at=uow.now, expected_by=expected_by, why="resumed", by=by)
            )

    async def run_now(self, name: str, *, by: str, why: str) -> datetime:
        """Answers with its moment: now."""
        self._get(name)
        async with self._database.begin() as uow:
            await self._ensure_it_may_run(uow, name)
            await queries.add_runs(
                uow.session, name, [uow.now], trigger=Trigger.MANUAL, by=by, why=why, now=uow.now
            )
            return uow.now

    async def backfill(self, name: str, *, since: datetime, until: datetime, by: str, why: str) -> list[Slot]:
        """The routine's moments in a range, both ends with it: those that were never worked will be."""
        async with self._database.begin() as uow:
            slots = await self._slots(uow, name, since, until)
            states = await queries.list_states(uow.session, name, slots)
            added = await queries.add_runs(
                uow.session, name, slots, trigger=Trigger.BACKFILL, by=by, why=why, now=uow.now
            )
        return [Slot(slot, states.get(slot), slot in added) for slot in slots]

    async def preview(self, name: str, *, since: datetime, until: datetime) -> list[Slot]:
        """What a backfill of that range would tell; nothing of it stays."""
        async with self._database.preview() as uow:
            slots = await self._slots(uow, name, since, until)
            states = await queries.list_states(uow.session, name, slots)
            await queries.hold_work(uow.session, name)
            return [await self._preview(uow, name, slot, states.get(slot)) for slot in slots]

    async def _preview(self, uow: Uow, name: str, slot: datetime, state: str | None) -> Slot:
        if state not in (None, RunStatus.SKIPPED, RunStatus.FAILED):
            return Slot(slot, state, is_worked=False)
        told = skipped = 0
        while True:
            batch = await self._works[name].tell(uow, slot)
            uow.forget_told()
            told, skipped = told + batch.told, skipped + batch.skipped
            if not batch.looked_at:
                return Slot(slot, state, is_worked=True, told=told, skipped=skipped)

    async def _slots(self, uow: Uow, name: str, since: datetime, until: datetime) -> list[datetime]:
        routine = self._get(name)
        await self._ensure_it_may_run(uow, name)
        if until < since:
            raise RefusedError(f"the range for {name} ends before it begins: {since.isoformat()}")
        if until > uow.now:
            raise RefusedError(f"{name} cannot be backfilled until {until.isoformat()}: that is yet to come")
        slots = list(islice(routine.slots_between(since - timedelta(microseconds=1), until), MOST_SLOTS + 1))
        if len(slots) > MOST_SLOTS:
            raise RefusedError(
                f"{name} was due more than {MOST_SLOTS} times in that range: name a shorter one"
            )
        if not slots:
            raise RefusedError(f"{name} ({routine.schedule.text()}) was never due in that range")
        return slots

    def _get(self, name: str) -> Routine:
        routine = self._routines.get(name)
        if routine is None:
            names = domain.names_of(tuple(self._routines.values()))
            raise RefusedError(f"there is no routine {name!r}; there are {names}")
        return routine

    async def _ensure_it_may_run(self, uow: Uow, name: str) -> None:
        if not self._routines[name].is_on:
            raise RefusedError(f"{name} is off: a setting switches it on (see .env.example)")
        pause = await queries.find_pause(uow.session, name, uow.now)
        if pause is not None:
            raise RefusedError(
                f"{name} is paused since {pause.from_at.isoformat()} by {pause.paused_by} ({pause.why}): "
                f"`relance scheduler resume {name}` first"
            )

    async def forecast(
        self,
        *,
        until: timedelta,
        company_id: UUID | None = None,
        after: Place | None = None,
        limit: int,
    ) -> tuple[Horizon, list[Told], Place | None]:
        """What will be told by then, soonest due first, and the place from which to go on.

        What is paused is not told before its pause ends. What will be too late by then is left out: a page
        may be short.
        """
        async with self._database.begin() as uow:
            horizon = Horizon(uow.now, uow.now + until, limit + 1, company_id, after)
            lines: list[Coming] = []
            pauses: dict[str, Held | None] = {}
            for name, work in self._works.items():
                routine = self._routines[name]
                if work.list_coming is not None and routine.is_on:
                    pauses[name] = _held(await queries.find_pause(uow.session, name, uow.now))
                    lines.extend(await work.list_coming(uow.session, routine, horizon))
        lines.sort(key=lambda line: line.place)
        more = lines[limit - 1].place if len(lines) > limit else None
        told = (self._told(line, horizon.now, pauses[line.routine]) for line in lines[:limit])
        return horizon, [each for each in told if each is not None], more

    def _told(self, line: Coming, now: datetime, pause: Held | None) -> Told | None:
        """At the routine's first moment from when the line is due, and no earlier than the pause ends."""
        if pause is not None and pause.until_at is None:
            return None
        earliest = now if pause is None or pause.until_at is None else pause.until_at
        from_at = max(line.due_at, earliest) - timedelta(microseconds=1)
        tells_at = self._routines[line.routine].next_slot(from_at)
        if line.expires_at is not None and tells_at >= line.expires_at:
            return None
        return Told(line, tells_at)


def _held(row: object) -> Held | None:
    if row is None:
        return None
    return Held(row.from_at, row.until_at, row.paused_by, row.why)  # type: ignore[attr-defined]


def _last_run(row: object) -> LastRun | None:
    if row is None:
        return None
    names = ("due_at", "status", "why", "told", "skipped", "finished_at")
    return LastRun(**{name: getattr(row, name) for name in names})
