"""What the clock starts: the watch over the scheduler, which cannot watch itself."""

from __future__ import annotations

import logging
import time
from datetime import datetime

from prometheus_client import Gauge

from libs.common.database import Database
from libs.common.events.directory import RoutineSilent
from services.admin_api import queries

log = logging.getLogger("relance.admin_api")

ROUTINE_OVERDUE = Gauge(
    "relance_routine_overdue_seconds", "For how long a routine's run has been missing", ["routine"]
)


class RoutineWatch:
    """Alarms once for each silence. A process that has just come back, and has yet to read what was told
    meanwhile, would take its own silence for the scheduler's: so a run must be missing at two looks that lie
    `patience_seconds` apart."""

    def __init__(self, database: Database, *, patience_seconds: float) -> None:
        self._database = database
        self._patience_seconds = patience_seconds
        self._missing: dict[tuple[str, datetime], float] = {}

    async def look(self) -> int:
        """Answers 0: there is never more to do than one look."""
        now = self._database.clock()
        async with self._database.begin() as uow:
            rows = await queries.list_routines(uow.session)
        missing: dict[tuple[str, datetime], float] = {}
        for row in rows:
            overdue = 0.0 if row.expected_by is None else (now - row.expected_by).total_seconds()
            ROUTINE_OVERDUE.labels(row.routine).set(max(0.0, overdue))
            if overdue > 0:
                key = (row.routine, row.expected_by)
                missing[key] = self._missing.get(key, time.monotonic())
        self._missing = missing
        for (routine, expected_by), since in missing.items():
            if time.monotonic() - since >= self._patience_seconds:
                await self._alarm(routine, expected_by)
        return 0

    async def _alarm(self, routine: str, expected_by: datetime) -> None:
        async with self._database.begin() as uow:
            if not await queries.mark_alarmed(uow.session, routine, expected_by):
                return
            await uow.publish(RoutineSilent(routine=routine, expected_by=expected_by, noticed_at=uow.now))
        log.error(
            "routine %s did not run: it was to be heard of by %s (see `relance scheduler list`)",
            routine,
            expected_by.isoformat(),
        )
