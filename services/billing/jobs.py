"""What the clock starts in billing: due dunning cases are claimed and their cycles worked."""

from __future__ import annotations

import logging

from libs.common.clock import Clock
from libs.common.database import Database, is_outage
from libs.common.errors import PermanentFailure, UnknownOutcome
from libs.common.jobs import backoff_seconds, brief
from libs.common.telemetry import current_traceparent
from libs.integrations.stripe import Stripe
from services.billing import queries
from services.billing.claims import LostClaimError
from services.billing.cycles import Cycle
from services.billing.queries.cases import CaseRow
from services.billing.settings import BillingSettings

log = logging.getLogger("relance.dunning")


class Dunning:
    """Works one due case a turn; run as many turns at once as Stripe may be asked things."""

    def __init__(self, database: Database, stripe: Stripe, settings: BillingSettings, clock: Clock) -> None:
        self._database = database
        self._stripe = stripe
        self._settings = settings
        self._clock = clock

    async def work_due_case(self) -> int:
        """Answers 1 when a case was worked, 0 when none is due."""
        async with self._database.begin() as uow:
            claimed = await queries.cases.claim_due_cases(
                uow.session, limit=1, lease_seconds=self._settings.lease_seconds
            )
        for row in claimed:
            current_traceparent.set(row.traceparent)
            await self._work(row)
        return len(claimed)

    async def _work(self, row: CaseRow) -> None:
        cycle = Cycle(row, self._database, self._stripe, self._settings, self._clock)
        try:
            await cycle.work()
        except LostClaimError as error:
            log.warning("invoice %s: %s", row.invoice_id, error)
        except Exception as error:
            await self._postpone(row, error)

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
