"""What a routine does when its moment comes, and what it will do: the two functions behind its row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Uow
from services.scheduler.domain import Coming, Horizon, Routine

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Batch:
    """What one batch came to. `looked_at` 0: there is nothing left, the run is finished."""

    looked_at: int
    told: int = 0
    skipped: int = 0

    def __add__(self, other: Batch) -> Batch:
        return Batch(self.looked_at + other.looked_at, self.told + other.told, self.skipped + other.skipped)


TellBatch = Callable[[Uow, datetime], Awaitable[Batch]]
"""Tells at most some thousand of what is due at the moment handed in, and writes down that it did, in the one
transaction that it is given. Called until it looked at nothing.

It may be called again for the same moment, for a later one and for an earlier one (a backfill): what it tells
has a key made of facts. `uow.now` is the present, by which it judges what is too late. It takes the rows that
it needs with `for update`, not `skip locked`: what is passed over is not looked at before the next moment."""

ListComing = Callable[[AsyncSession, Routine, Horizon], Awaitable[Sequence[Coming]]]
"""What will be told, in the order of `Coming.place`: after `horizon.after`, at most `horizon.limit`."""


@dataclass(frozen=True, slots=True)
class Work:
    """`reads_first`: it is decided by what was heard, so that nothing is told before all of that is read."""

    tell: TellBatch
    list_coming: ListComing | None = None
    reads_first: bool = True
