"""Housekeeping: what is past its keeping time is deleted, a small batch a transaction, oldest first.

Any number of processes may do it at once: a batch locks what it deletes and passes over what others hold, so
that nobody waits. Killed half-way it begins again; what is gone is gone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common import inbox, outbox
from libs.common.database import Database
from libs.common.settings import CommonSettings
from libs.common.swept import Swept
from libs.common.telemetry import HOUSEKEEPING_DELETED

log = logging.getLogger("relance.housekeeping")

Place: TypeAlias = tuple[Any, ...]


class Sweep(Protocol):
    """Looks at `limit` rows at most, beginning after a place, and deletes those that are older than `before`
    and nobody needs."""

    async def __call__(
        self, session: AsyncSession, *, before: datetime, after: Place | None, limit: int
    ) -> Swept: ...


@dataclass(frozen=True, slots=True)
class Keeping:
    """A table, how long its rows are kept, and what deletes the older ones."""

    table: str
    days: int
    sweep: Sweep


def frame_keepings(settings: CommonSettings) -> tuple[Keeping, ...]:
    """Those of the tables that every service has."""
    return (
        Keeping("inbox", settings.inbox_kept_days, inbox.delete_old),
        Keeping("outbox", settings.outbox_kept_days, outbox.delete_old),
    )


class Housekeeping:
    """Goes through the tables, batch by batch, again and again."""

    def __init__(self, database: Database, keepings: Sequence[Keeping], *, batch: int) -> None:
        self._database = database
        self._keepings = keepings
        self._batch = batch
        self._at = 0
        self._place: Place | None = None

    async def tidy(self) -> int:
        """One batch of one table. Answers 1 while there is more to look at, 0 at the end of a round.

        Rests as long as it worked: whoever takes in events comes first.
        """
        keeping = self._keepings[self._at]
        started = time.monotonic()
        async with self._database.begin() as uow:
            before = uow.now - timedelta(days=keeping.days)
            swept = await keeping.sweep(uow.session, before=before, after=self._place, limit=self._batch)
        if swept.deleted:
            HOUSEKEEPING_DELETED.labels(self._database.service, keeping.table).inc(swept.deleted)
            log.info("%s: %s rows older than %s deleted", keeping.table, swept.deleted, before.date())
        await asyncio.sleep(time.monotonic() - started)
        self._place = swept.place
        if swept.place is None:
            self._at = (self._at + 1) % len(self._keepings)
        return int(swept.place is not None or self._at > 0)
