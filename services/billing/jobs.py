"""What the clock starts in billing: due dunning cases are claimed and worked, due lines decided on."""

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
from services.billing.cutoffs import Cutoff
from services.billing.cycles import Cycle
from services.billing.lines import QUESTIONS
from services.billing.queries.cases import CaseRow
from services.billing.queries.lines import LinesRow
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
        wait_seconds = _wait_seconds(error, row.failures, self._settings)
        _say_postponed(f"invoice {row.invoice_id}: dunning", error, wait_seconds)
        async with self._database.begin() as uow:
            await queries.cases.release_case(
                uow.session, row, wait_seconds=wait_seconds, failure=brief(error)
            )


class Cutoffs:
    """Decides on the lines of one due company a turn."""

    def __init__(self, database: Database, stripe: Stripe, settings: BillingSettings) -> None:
        self._database = database
        self._stripe = stripe
        self._settings = settings

    async def decide_due_lines(self) -> int:
        """Answers 1 when a company was decided on, 0 when none is due."""
        async with self._database.begin() as uow:
            claimed = await queries.lines.claim_due_lines(
                uow.session, limit=1, lease_seconds=self._settings.lease_seconds
            )
            QUESTIONS.set(await queries.lines.count_questions(uow.session))
        for row in claimed:
            current_traceparent.set(row.traceparent)
            await self._decide(row)
        return len(claimed)

    async def _decide(self, row: LinesRow) -> None:
        try:
            await Cutoff(row, self._database, self._stripe, self._settings).decide()
        except LostClaimError as error:
            log.warning("company %s: %s", row.company_id, error)
        except Exception as error:
            wait_seconds = _wait_seconds(error, row.failures, self._settings)
            _say_postponed(f"company {row.company_id}: the decision on its lines", error, wait_seconds)
            async with self._database.begin() as uow:
                await queries.lines.postpone_lines(
                    uow.session, row, wait_seconds=wait_seconds, failure=brief(error)
                )


def _wait_seconds(error: Exception, failures: int, settings: BillingSettings) -> float:
    """Outages and lost answers are tried again soon; what looks hopeless at the longest interval."""
    if isinstance(error, PermanentFailure):
        return settings.retry_longest_seconds
    return backoff_seconds(
        failures, first=settings.retry_first_seconds, longest=settings.retry_longest_seconds
    )


def _say_postponed(what: str, error: Exception, wait_seconds: float) -> None:
    is_expected = is_outage(error) or isinstance(error, UnknownOutcome)
    log.log(
        logging.WARNING if is_expected else logging.ERROR,
        "%s goes on in %.1f s: %s",
        what,
        wait_seconds,
        brief(error),
        exc_info=None if is_expected else error,
    )
