"""Telling whose card expires soon: a morning's look, a batch of cards a transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from libs.common.database import Database, Uow
from libs.common.events.billing import PaymentMethodExpiring
from services.billing import queries
from services.billing.domain import Purpose
from services.billing.queries.methods import Check, Expiring
from services.billing.settings import BillingSettings

log = logging.getLogger("relance.cards")

BATCH = 100


class ExpiringCards:
    """Goes on with the oldest look that is not finished; of several processes, one at a time."""

    def __init__(self, database: Database, settings: BillingSettings) -> None:
        self._database = database
        self._links = settings.pay_links
        self._window = timedelta(days=settings.card_expiring_days)

    async def look(self) -> int:
        """Answers how many cards were looked at; 0 when there is nothing to look for."""
        async with self._database.begin() as uow:
            check = await queries.methods.claim_check(uow.session)
            if check is None:
                return 0
            cards = await queries.methods.list_expiring(
                uow.session, check, until=check.due_on + self._window, limit=BATCH
            )
            needed = [card for card in cards if card.is_needed]
            await self._tell(check, needed, uow)
            last = (cards[-1].expires_on, cards[-1].payment_method_id) if len(cards) == BATCH else None
            await queries.methods.save_check(uow.session, check, last=last, told=len(needed))
        if needed:
            log.info("%s cards expire soon, told for %s", len(needed), check.due_on)
        return max(1, len(cards))

    async def _tell(self, check: Check, cards: Sequence[Expiring], uow: Uow) -> None:
        if not cards:
            return
        customers = dict.fromkeys((card.stripe_customer_id for card in cards), None)
        debtors = await queries.debtors.lock_debtors(uow.session, customers)
        for card in cards:
            debtor = debtors[card.stripe_customer_id]
            fact = PaymentMethodExpiring(
                company_id=debtor.company_id,
                stripe_customer_id=card.stripe_customer_id,
                card=card.fingerprint or card.payment_method_id,
                payment_method_id=card.payment_method_id,
                label=card.label,
                expires_on=card.expires_on,
                card_url=self._links.url_of(Purpose.CARD, debtor.company_id, uow.now),
                customer_name=debtor.known_name or "",
                customer_email=debtor.known_email,
            )
            await uow.publish(fact, traceparent=check.traceparent, causation_id=check.causation_id)
        await queries.methods.mark_told(uow.session, [card.payment_method_id for card in cards])
