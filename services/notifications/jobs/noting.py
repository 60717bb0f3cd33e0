"""Noting: what the mail server answered is written down, however long the database is away."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from libs.common.database import Database, Uow
from libs.common.jobs import backoff_seconds, brief
from services.notifications import ledger
from services.notifications.domain import Channel, Delivery, Outcome, Result, Status
from services.notifications.domain.reports import Verdict, is_dead_address

log = logging.getLogger("relance.notifications")

LARGEST_BATCH = 50
# After a batch: results that come one after the other gather, as storing one costs as much as storing ten.
GATHER_SECONDS = 0.02
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 2.0


class Noter:
    """Results wait here until they are stored: nothing but the end of the process makes it give up."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._results: deque[Result] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        return len(self._results)

    def add(self, delivery: Delivery, outcome: Outcome) -> None:
        self._results.append((delivery, outcome))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._note_all())

    async def finish(self) -> None:
        """Returns when all is stored. Being canceled stops the waiting, not the work."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _note_all(self) -> None:
        failures = 0
        while self._results:
            # After a failure one by one, the failed one last: whatever is wrong with it holds up nobody.
            size = 1 if failures else min(LARGEST_BATCH, len(self._results))
            batch = [self._results.popleft() for _ in range(size)]
            try:
                left = await note(self._database, batch)
            except Exception as error:
                failures += 1
                left = batch
                log.warning("cannot note %s results, will try again: %s", len(batch), brief(error))
                await asyncio.sleep(
                    backoff_seconds(failures, first=FIRST_WAIT_SECONDS, longest=LONGEST_WAIT_SECONDS)
                )
                self._results.extend(left)
            else:
                failures = 0
                self._results.extend(left)
                if len(self._results) < LARGEST_BATCH:
                    await asyncio.sleep(GATHER_SECONDS)


async def note(database: Database, results: list[Result]) -> list[Result]:
    """Stores those whose companies nobody else holds (at least one); answers with the others."""
    async with database.begin() as uow:
        company_ids = list(dict.fromkeys(delivery.company_id for delivery, _ in results))
        locked = set(await ledger.lock_companies(uow, company_ids, limit=len(company_ids)))
        mine = [result for result in results if result[0].company_id in locked]
        # A result that comes after its lease ran out still settles what was called unknown meanwhile.
        taken = await ledger.settle(uow, mine, from_statuses=[Status.SENDING, Status.UNKNOWN])
        for delivery, outcome in mine:
            await _note_dead_address(uow, delivery, outcome)
    if len(taken) < len(mine):
        # A provider's own word was faster, or a person's.
        log.info("%s results came too late: their deliveries have moved on", len(mine) - len(taken))
    return [result for result in results if result[0].company_id not in locked]


async def _note_dead_address(uow: Uow, delivery: Delivery, outcome: Outcome) -> None:
    """A refusal that says that nobody is there is about the address, for whoever writes to it next."""
    is_refusal = outcome.status is Status.FAILED and delivery.channel == Channel.MAIL
    if is_refusal and delivery.recipient and is_dead_address(outcome.answer):
        await ledger.note_verdict(
            uow,
            Verdict.BOUNCES,
            outcome.answer,
            channel=Channel.MAIL,
            address=delivery.recipient,
            delivery_id=delivery.id,
        )
