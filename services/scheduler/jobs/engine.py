"""The job `tick`: plans what has become due, claims it, works it, batch by batch. Any number may run at once.

No one leads. A moment of a routine is one row of `runs`; whoever claims it holds it by a lease that it
prolongs while it lives, and writes under a fence that rises with every claim.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from prometheus_client import Counter

from libs.common.database import Database, is_outage
from libs.common.errors import PermanentFailure
from libs.common.events.scheduler import RoutineRan
from libs.common.jobs import backoff_seconds, brief
from services.scheduler import domain, queries
from services.scheduler.domain import Routine, RunStatus, SkipWhy, Trigger
from services.scheduler.jobs.pings import Pings
from services.scheduler.jobs.planning import Planner
from services.scheduler.jobs.work import Batch, Work
from services.scheduler.queries import Run
from services.scheduler.reading import Reading
from services.scheduler.settings import SchedulerSettings

log = logging.getLogger("relance.scheduler")

ROUTINE_RUNS = Counter("relance_routine_runs_total", "Runs of routines that ended", ["routine", "outcome"])
ROUTINE_FACTS = Counter("relance_routine_facts_total", "Facts told by routines", ["routine"])


class LostClaimError(Exception):
    """The lease passed and somebody else has claimed the run: nothing of this batch may stay."""


@dataclass(slots=True)
class Turn:
    """One turn of the job: whose runs may still be claimed, and the first trouble that passes by itself."""

    names: set[str]
    worked: int = 0
    trouble: Exception | None = field(default=None)

    def leave(self, routine: str) -> None:
        self.names.discard(routine)


class Engine:
    """One instance. `is_stopping`: a run in hand is given back between two batches."""

    def __init__(
        self,
        database: Database,
        routines: Sequence[Routine],
        works: Mapping[str, Work],
        settings: SchedulerSettings,
        *,
        reading: Reading,
        pings: Pings | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._routines = {routine.name: routine for routine in routines if routine.is_on}
        self._works = works
        self._settings = settings
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._reading = reading
        self._pings = pings or Pings({})
        self._is_stopping = is_stopping
        self._planner = Planner(database, tuple(self._routines.values()))

    async def tick(self) -> int:
        """Answers how many batches were worked. Raises what holds a routine back, once others are done."""
        await self._planner.plan_all()
        turn = Turn(set(self._routines))
        while not self._is_stopping():
            run = await self._claim(turn)
            if run is None:
                break
            await self._take(run, turn)
        if turn.trouble is not None:
            raise turn.trouble
        return turn.worked

    async def _claim(self, turn: Turn) -> Run | None:
        """The next run that is still to be worked; what is paused, or too late by now, ends here."""
        while turn.names:
            async with self._database.begin() as uow:
                run = await queries.claim_run(uow.session, sorted(turn.names), now=uow.now, lease=self._lease)
                if run is None:
                    return None
                routine = self._routines[run.routine]
                pauses = await queries.list_pauses(uow.session, run.routine, since=run.due_at)
                why = _why_not(routine, run, uow.now, domain.is_paused(pauses, uow.now))
                if why is None:
                    return run
                await queries.end_run(uow.session, run, RunStatus.SKIPPED, now=uow.now, why=why)
            _note_end(run, RunStatus.SKIPPED, why)
        return None

    async def _take(self, run: Run, turn: Turn) -> None:
        if run.fence == 1:
            self._pings.begin(run.routine)
        try:
            async with self._sign_of_life(run):
                await self._read_up_to(run)
                await self._work(run, turn)
        except LostClaimError:
            log.warning("%s of %s was claimed by another scheduler", run.routine, run.due_at.isoformat())
        except Exception as error:
            turn.leave(run.routine)
            await self._note_trouble(run, error, turn)

    async def _read_up_to(self, run: Run) -> None:
        """Nothing is told on old knowledge. A mark may be older than the moment: then once more."""
        if not self._works[run.routine].reads_first:
            return
        if await self._reading.read_up_to(self._database.clock()) < run.due_at:
            await self._reading.read_up_to(self._database.clock())

    async def _work(self, run: Run, turn: Turn) -> None:
        while await self._tell_batch(run, turn):
            if self._is_stopping():
                await self._give_back(run)
                return

    async def _tell_batch(self, run: Run, turn: Turn) -> bool:
        """Occurrences, facts and the run's own row in one transaction. Answers whether more may follow."""
        async with self._database.begin() as uow:
            await queries.hold_work(uow.session, run.routine, idle=self._lease)
            if await queries.find_pause(uow.session, run.routine, uow.now):
                ended = await queries.end_run(
                    uow.session, run, RunStatus.SKIPPED, now=uow.now, why=SkipWhy.PAUSED
                )
                batch, status = Batch(0), RunStatus.SKIPPED
            else:
                batch = await self._works[run.routine].tell(uow, run.due_at)
                counts = {"looked_at": batch.looked_at, "told": batch.told, "skipped": batch.skipped}
                ended = await queries.prolong_run(
                    uow.session, run, now=uow.now, lease=self._lease, counts=counts
                )
                status = RunStatus.RUNNING if batch.looked_at else RunStatus.DONE
                if ended and status is RunStatus.DONE:
                    ended = await queries.end_run(uow.session, run, status, now=uow.now)
                    await self._planner.tell_ran(uow, self._ran(run, uow.now, status, ended))
            if ended is None:
                raise LostClaimError
        ROUTINE_FACTS.labels(run.routine).inc(batch.told)
        turn.worked += 1
        if status is RunStatus.RUNNING:
            return True
        _note_end(run, status, f"{ended.told} told, {ended.skipped} skipped")
        if status is RunStatus.DONE:
            self._pings.end(run.routine)
        return False

    def _ran(self, run: Run, now: datetime, status: RunStatus, sums: object) -> RoutineRan:
        """A run that failed is not one that ran in time: its own moment goes on being waited for."""
        routine = self._routines[run.routine]
        is_done = status is RunStatus.DONE
        return RoutineRan(
            routine=run.routine,
            due_at=run.due_at,
            trigger=run.trigger,
            outcome=status,
            finished_at=now,
            told=getattr(sums, "told", 0),
            skipped=getattr(sums, "skipped", 0),
            expected_by=routine.expected_by(now) if is_done else run.due_at + routine.alarm_after,
        )

    @asynccontextmanager
    async def _sign_of_life(self, run: Run) -> AsyncIterator[None]:
        """While work is in hand, however long a batch takes."""
        task = asyncio.create_task(self._keep_prolonging(run))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _keep_prolonging(self, run: Run) -> None:
        nothing = {"looked_at": 0, "told": 0, "skipped": 0}
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            try:
                async with self._database.begin() as uow:
                    await queries.prolong_run(
                        uow.session, run, now=uow.now, lease=self._lease, counts=nothing
                    )
            except Exception as error:
                log.warning("the lease of %s could not be prolonged: %s", run.routine, brief(error))

    async def _note_trouble(self, run: Run, error: Exception, turn: Turn) -> None:
        if is_outage(error):
            turn.trouble = turn.trouble or error
            await self._give_back(run)
            return
        attempts = run.attempts + 1
        if attempts < self._settings.retry_attempts and not isinstance(error, PermanentFailure):
            log.error("%s failed (%s times)", run.routine, attempts, exc_info=error)
            await self._give_back(run, failures=1, wait=self._wait_after(attempts))
            return
        log.error("%s of %s failed for good", run.routine, run.due_at.isoformat(), exc_info=error)
        async with self._database.begin() as uow:
            ended = await queries.end_run(uow.session, run, RunStatus.FAILED, now=uow.now, why=brief(error))
            if ended is not None:
                ran = self._ran(run, uow.now, RunStatus.FAILED, ended)
                await self._planner.tell_ran(uow, ran, at_once=True)
        _note_end(run, RunStatus.FAILED, brief(error))
        self._pings.fail(run.routine)

    def _wait_after(self, attempts: int) -> timedelta:
        return timedelta(
            seconds=backoff_seconds(
                attempts - 1,
                first=self._settings.retry_first_seconds,
                longest=self._settings.retry_longest_seconds,
            )
        )

    async def _give_back(self, run: Run, *, failures: int = 0, wait: timedelta = timedelta(0)) -> None:
        """For whoever comes next. Where that fails too, the lease passes."""
        try:
            async with self._database.begin() as uow:
                await queries.release_run(
                    uow.session, run, now=uow.now, try_at=uow.now + wait, failures=failures
                )
        except Exception as error:
            log.warning("%s could not be given back, its lease will pass: %s", run.routine, brief(error))


def _why_not(routine: Routine, run: Run, now: datetime, is_paused: bool) -> SkipWhy | None:
    """Why a run that was planned is not worked after all. What people asked for is never too late."""
    if is_paused:
        return SkipWhy.PAUSED
    if run.trigger is Trigger.SCHEDULE and domain.is_too_late(routine, run.due_at, now):
        return SkipWhy.TOO_LATE
    return None


def _note_end(run: Run, status: RunStatus, detail: str) -> None:
    ROUTINE_RUNS.labels(run.routine, status).inc()
    local = run.due_at.astimezone(UTC).isoformat()
    log.info("%s of %s is %s: %s", run.routine, local, status, detail)
