"""Comparing subscriptions with Stripe's: fetched, and taken in by the way that webhooks take. What was
different is what that way tells anew."""

from __future__ import annotations

import logging
from datetime import datetime

from prometheus_client import Counter

from libs.common.database import Database, is_outage
from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure, UnknownOutcome
from libs.common.events.scheduler import SubscriptionCheckDue
from libs.common.jobs import backoff_seconds, brief
from libs.common.telemetry import current_traceparent
from libs.integrations.stripe import Stripe, Subscription
from services.billing import intake, queries
from services.billing.claims import LostClaimError
from services.billing.queries.subscription_checks import CheckRow
from services.billing.settings import BillingSettings

log = logging.getLogger("relance.subscriptions")

CHECKED = Counter("relance_subscription_checks_total", "Subscriptions compared with Stripe's", ["outcome"])


class SubscriptionChecks:
    """Works one due check a turn."""

    def __init__(self, database: Database, stripe: Stripe, settings: BillingSettings) -> None:
        self._database = database
        self._stripe = stripe
        self._settings = settings

    async def work_due_check(self) -> int:
        """Answers 1 when a check was worked, 0 when none is due or Stripe has no room for it."""
        if self._stripe.room(1) == 0:
            return 0
        async with self._database.begin() as uow:
            claimed = await queries.subscription_checks.claim_check(
                uow.session, lease_seconds=self._settings.lease_seconds
            )
        if claimed is None:
            self._stripe.give_back_room()
            return 0
        current_traceparent.set(claimed.traceparent)
        try:
            await self._check(claimed)
        except LostClaimError as error:
            log.warning("subscription %s: %s", claimed.subscription_id, error)
        except Exception as error:
            await self._postpone(claimed, error)
        return 1

    async def _check(self, check: CheckRow) -> None:
        subscription: Subscription | None
        try:
            subscription = await self._stripe.get_subscription(check.subscription_id)
        except PermanentFailure:
            subscription = None
        async with self._database.begin(_cause(check, self._database.clock())) as uow:
            told: list[str] = []
            if subscription is not None:
                await intake.take_in_fetched(subscription, uow)
                await uow.flush()
                told = await queries.subscription_checks.list_newly_told(uow.session)
            outcome = _outcome(subscription, told)
            if not await queries.subscription_checks.mark_checked(uow.session, check, outcome):
                raise LostClaimError("another process took the check over")
        CHECKED.labels(outcome.partition(":")[0]).inc()
        if told:
            log.warning("subscription %s was not as at Stripe: %s", check.subscription_id, ", ".join(told))

    async def _postpone(self, check: CheckRow, error: Exception) -> None:
        wait_seconds = backoff_seconds(
            check.failures,
            first=self._settings.retry_first_seconds,
            longest=self._settings.retry_longest_seconds,
        )
        is_expected = is_outage(error) or isinstance(error, UnknownOutcome)
        log.log(
            logging.WARNING if is_expected else logging.ERROR,
            "subscription %s is checked in %.1f s: %s",
            check.subscription_id,
            wait_seconds,
            brief(error),
            exc_info=None if is_expected else error,
        )
        async with self._database.begin() as uow:
            await queries.subscription_checks.release_check(
                uow.session, check, wait_seconds=wait_seconds, failure=brief(error)
            )


def _outcome(subscription: Subscription | None, told: list[str]) -> str:
    if subscription is None:
        return "unknown at Stripe"
    return f"corrected: {', '.join(told)}" if told else "the same"


def _cause(check: CheckRow, now: datetime) -> Envelope:
    """The fact that asked for the check, as far as what it causes must know it."""
    due = SubscriptionCheckDue(
        company_id=check.company_id, subscription_id=check.subscription_id, due_on=check.due_on
    )
    return Envelope(
        event_id=check.causation_id,
        type=due.type,
        source=f"/relance/{due.teller()}",
        key=due.key,
        time=now,
        data=due.to_bytes(),
        traceparent=check.traceparent,
    )
