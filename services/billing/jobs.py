"""What the clock starts in billing: due dunning cases are claimed and their cycles worked."""

from __future__ import annotations

import asyncio
import logging

from libs.common.clock import Clock
from libs.common.database import Database, is_outage
from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome
from libs.common.jobs import backoff_seconds, brief
from libs.common.telemetry import current_traceparent
from libs.integrations.stripe import Stripe
from services.billing import queries
from services.billing.claims import LostClaimError
from services.billing.cycles import Cycle
from services.billing.queries.cases import CaseRow
from services.billing.settings import BillingSettings

log = logging.getLogger("relance.dunning")

# How soon room that became free is seen; a second's work waits for its turn at Stripe meanwhile.
LOOK_AGAIN_SECONDS = 0.1


class Dunning:
    """Works due cases: as many at once as use the pace that Stripe allows, none but a single try while it
    fails. What is not begun waits in its table, and drains by itself."""

    def __init__(self, database: Database, stripe: Stripe, settings: BillingSettings, clock: Clock) -> None:
        self._database = database
        self._stripe = stripe
        self._settings = settings
        self._clock = clock
        self._busy: set[asyncio.Task[None]] = set()

    async def begin_due_cases(self) -> int:
        """One turn: fills the room there is; answers 0 when nothing is due, or Stripe fails."""
        room = self._stripe.room(self._settings.dunning_workers - len(self._busy))
        if room == 0 and not self._stripe.breaker.is_open:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            return 1
        claimed = await self._claim(room) if room else []
        for row in claimed:
            task = asyncio.create_task(self._work(row))
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)
        return len(claimed)

    async def close(self) -> None:
        """What is in hand is finished."""
        await asyncio.gather(*self._busy, return_exceptions=True)

    async def _claim(self, limit: int) -> list[CaseRow]:
        async with self._database.begin() as uow:
            return await queries.cases.claim_due_cases(
                uow.session, limit=limit, lease_seconds=self._settings.lease_seconds
            )

    async def _work(self, row: CaseRow) -> None:
        current_traceparent.set(row.traceparent)
        cycle = Cycle(row, self._database, self._stripe, self._settings, self._clock)
        try:
            await cycle.work()
        except LostClaimError as error:
            log.warning("invoice %s: %s", row.invoice_id, error)
        except Exception as error:
            await self._let_go(row, error)

    async def _let_go(self, row: CaseRow, error: Exception) -> None:
        try:
            await self._postpone(row, error)
        except Exception as failure:
            log.warning("invoice %s: its claim will run out: %s", row.invoice_id, brief(failure))

    async def _postpone(self, row: CaseRow, error: Exception) -> None:
        """Outages and lost answers are tried again soon; what looks hopeless at the longest interval."""
        if isinstance(error, PermanentFailure):
            wait_seconds = self._settings.retry_longest_seconds
        else:
            wait_seconds = backoff_seconds(
                row.failures,
                first=self._settings.retry_first_seconds,
                longest=self._settings.retry_longest_seconds,
            )
        if isinstance(error, TemporaryFailure) and error.retry_after_seconds is not None:
            wait_seconds = max(wait_seconds, error.retry_after_seconds)
        is_expected = is_outage(error) or isinstance(error, UnknownOutcome)
        log.log(
            logging.WARNING if is_expected else logging.ERROR,
            "invoice %s: dunning goes on in %.1f s: %s",
            row.invoice_id,
            wait_seconds,
            brief(error),
            exc_info=None if is_expected else error,
        )
        async with self._database.begin() as uow:
            await queries.cases.release_case(
                uow.session, row, wait_seconds=wait_seconds, failure=brief(error)
            )
