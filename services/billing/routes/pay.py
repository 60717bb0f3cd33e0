"""Where the links of mails lead: to Stripe's page of the invoice, or to its portal to change the card.

Whoever guesses learns nothing: what was not signed here, or is not known here, gets one and the same answer.
Opening a link without being a person (HEAD, a browser that fetches ahead) asks Stripe for nothing.
"""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

from fastapi import APIRouter, Request, Response

from libs.common.clock import Clock
from libs.common.database import Database, is_outage
from libs.common.errors import RelanceError, TemporaryFailure, UnknownOutcome
from libs.common.jobs import brief
from libs.common.visits import Visits, is_person
from libs.integrations.stripe import Stripe
from services.billing import queries
from services.billing.domain.pay_links import PATH, PayLink, Purpose
from services.billing.queries.ways_to_pay import Payable
from services.billing.routes import pay_pages as pages
from services.billing.settings import BillingSettings

log = logging.getLogger("relance.pay")

THANKS = "merci"
"""Where Stripe's portal leads back to."""

# A person waits for it, and the page to come back to is a good one.
STRIPE_SECONDS = 10.0
AGAIN_SECONDS = 60.0


def create_pay_router(
    database: Database, stripe: Stripe, settings: BillingSettings, clock: Clock
) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    door = _Door(database, stripe, settings, clock)

    @router.api_route(PATH + "{token:path}", methods=["GET", "HEAD"])
    async def open_link(token: str, request: Request) -> Response:
        if token == THANKS:
            return pages.answer(pages.THANKS)
        return await door.open(token, is_person=is_person(request))

    return router


class _Door:
    def __init__(self, database: Database, stripe: Stripe, settings: BillingSettings, clock: Clock) -> None:
        self._database = database
        self._stripe = stripe
        self._links = settings.pay_links
        base = settings.billing_public_url
        self._return_url = f"{base}{PATH}{THANKS}" if base else None
        self._visits = Visits(settings.pay_opens_per_minute, settings.pay_opens_per_minute_and_link)
        self._clock = clock

    async def open(self, token: str, *, is_person: bool) -> Response:
        link = self._links.read(token)
        if link is None:
            return pages.answer(pages.NOT_FOUND)
        if link.until <= self._clock():
            return pages.answer(pages.EXPIRED)
        try:
            return await (self._pay if link.purpose is Purpose.PAY else self._change_card)(link, is_person)
        except Exception as error:
            return _come_again(error)

    async def _pay(self, link: PayLink, is_person: bool) -> Response:
        async with self._database.begin() as uow:
            known = await queries.ways_to_pay.find_payable(uow.session, link.subject)
        if known is None:
            return pages.answer(pages.NOT_FOUND)
        if settled := _settled(known.status):
            return pages.answer(settled)
        if refusal := await self._refuse(link, is_person):
            return refusal
        now = await self._ask(known)
        if settled := _settled(now.status):
            return pages.answer(settled)
        return pages.lead_to(now.url) if now.url else pages.answer(pages.NOT_ONLINE)

    async def _ask(self, known: Payable) -> Payable:
        """As Stripe has it at this moment: its addresses age, and a payment of a minute ago is one. While it
        does not answer us, the address that we know may well answer the reader."""
        try:
            async with asyncio.timeout(STRIPE_SECONDS):
                invoice = await self._stripe.get_invoice(known.invoice_id)
        except (RelanceError, TimeoutError) as error:
            if known.url is None:
                raise
            log.warning("invoice %s: led to the address known before: %s", known.invoice_id, brief(error))
            return known
        return Payable(known.invoice_id, invoice.status, invoice.hosted_invoice_url or known.url)

    async def _change_card(self, link: PayLink, is_person: bool) -> Response:
        async with self._database.begin() as uow:
            customer_id = await queries.ways_to_pay.find_customer_id(uow.session, UUID(link.subject))
        if customer_id is None:
            return pages.answer(pages.NOT_FOUND)
        if refusal := await self._refuse(link, is_person):
            return refusal
        async with asyncio.timeout(STRIPE_SECONDS):
            return pages.lead_to(await self._stripe.open_portal(customer_id, return_url=self._return_url))

    async def _refuse(self, link: PayLink, is_person: bool) -> Response | None:
        """What stands between a good link and Stripe."""
        if not is_person:
            return pages.nothing()
        if not await self._visits.allows(link):
            return pages.answer(pages.TOO_OFTEN, retry_after_seconds=AGAIN_SECONDS)
        return None


def _come_again(error: Exception) -> Response:
    """The reader can only wait; whatever is no outage (no portal is configured, say) is ours to see to."""
    if is_outage(error) or isinstance(error, UnknownOutcome):
        log.warning("a link cannot be followed now: %s", brief(error))
    else:
        log.error("a link cannot be followed", exc_info=error)
    wish = error.retry_after_seconds if isinstance(error, TemporaryFailure) else None
    return pages.answer(pages.AWAY, retry_after_seconds=wish or AGAIN_SECONDS)


def _settled(status: str) -> pages.Page | None:
    return {"paid": pages.PAID, "void": pages.NOT_DUE}.get(status)
