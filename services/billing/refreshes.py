"""Fetching what events alone do not say: which of two copies of a second is right, whose a dispute is."""

from __future__ import annotations

import logging
from uuid import UUID

from libs.common.clock import Clock
from libs.common.database import Database
from libs.common.errors import PermanentFailure
from libs.common.events.billing import DisputeClosed, DisputeOpened
from libs.common.jobs import backoff_seconds, brief
from libs.integrations.stripe import Dispute, Stripe
from services.billing import intake, queries
from services.billing.queries.subscriptions import Refresh
from services.billing.settings import BillingSettings

log = logging.getLogger("relance.refreshes")

_ENDED_DISPUTES = frozenset({"won", "lost", "warning_closed", "prevented"})


class Refreshes:
    """Fetches one thing a turn, within the same request budget as dunning."""

    def __init__(self, database: Database, stripe: Stripe, settings: BillingSettings, clock: Clock) -> None:
        self._database = database
        self._stripe = stripe
        self._settings = settings
        self._clock = clock

    async def fetch_next(self) -> int:
        """Answers 1 when something was asked for, 0 when nothing is due or Stripe has no room for it."""
        if self._stripe.room(1) == 0:
            return 0
        async with self._database.begin() as uow:
            refresh = await queries.subscriptions.claim_refresh(
                uow.session, lease_seconds=self._settings.lease_seconds
            )
        if refresh is None:
            self._stripe.give_back_room()
            return 0
        try:
            await self._fetch(refresh)
        except Exception as error:
            await self._postpone(refresh, error)
        return 1

    async def _fetch(self, refresh: Refresh) -> None:
        if refresh.kind == "subscription":
            await self._fetch_subscription(refresh)
        else:
            await self._fetch_dispute(refresh)

    async def _fetch_subscription(self, refresh: Refresh) -> None:
        subscription = await self._stripe.get_subscription(refresh.object_id)
        async with self._database.begin() as uow:
            await intake.take_in_fetched(subscription, uow)
            await queries.subscriptions.delete_refresh(uow.session, refresh)

    async def _fetch_dispute(self, refresh: Refresh) -> None:
        dispute, customer_id = await self._stripe.get_dispute(refresh.object_id)
        async with self._database.begin() as uow:
            if customer_id is None:
                log.warning("dispute %s: its charge has no customer; nobody is told", dispute.id)
            else:
                debtor = await queries.debtors.lock_debtor(uow.session, customer_id)
                for event in _told_of(dispute, debtor.company_id, self._clock):
                    await uow.publish(event)
            await queries.subscriptions.delete_refresh(uow.session, refresh)

    async def _postpone(self, refresh: Refresh, error: Exception) -> None:
        """What Stripe does not know is asked again at the longest interval: a person must look."""
        wait_seconds = self._settings.retry_longest_seconds
        if not isinstance(error, PermanentFailure):
            wait_seconds = backoff_seconds(
                refresh.failures, first=self._settings.retry_first_seconds, longest=wait_seconds
            )
        log.warning("%s %s is fetched again in %.1f s: %s", refresh.kind, refresh.object_id, wait_seconds,
                    brief(error))  # fmt: skip
        async with self._database.begin() as uow:
            await queries.subscriptions.postpone_refresh(
                uow.session, refresh, wait_seconds=wait_seconds, failure=brief(error)
            )


def _told_of(dispute: Dispute, company_id: UUID, clock: Clock) -> list[DisputeOpened | DisputeClosed]:
    """Its opening is told even where its end is known already: telling again is harmless."""
    opened = DisputeOpened(
        company_id=company_id,
        dispute_id=dispute.id,
        charge_id=dispute.charge_id,
        amount_cents=dispute.amount,
        currency=dispute.currency,
        reason=dispute.reason,
        opened_at=dispute.created_at,
    )
    if dispute.status not in _ENDED_DISPUTES:
        return [opened]
    closed = DisputeClosed(
        company_id=company_id, dispute_id=dispute.id, outcome=dispute.status, closed_at=clock()
    )
    return [opened, closed]
