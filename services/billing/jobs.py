"""What the clock starts in billing: due dunning cases are claimed and worked, due lines decided on."""

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
from services.billing.cutoffs import Cutoff
from services.billing.cycles import Cycle
from services.billing.lines import QUESTIONS
from services.billing.queries.cases import CaseRow
from services.billing.queries.lines import LinesRow
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
        if room and not claimed:
            self._stripe.give_back_room()
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
    wait_seconds = backoff_seconds(
        failures, first=settings.retry_first_seconds, longest=settings.retry_longest_seconds
    )
    if isinstance(error, TemporaryFailure) and error.retry_after_seconds is not None:
        wait_seconds = max(wait_seconds, error.retry_after_seconds)
    return wait_seconds


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
