"""What a fact starts in billing: the copy of Stripe's objects follows, dunning cases open and close."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Uow
from libs.common.errors import PermanentFailure
from libs.common.events.billing import SubscriptionStarted
from libs.common.events.directory import CompanyRegistered
from libs.common.events.stripe import StripeEventReceived
from libs.common.router import EventRouter, Heard
from libs.integrations.stripe import read_event
from services.billing import domain, queries
from services.billing.cases import Scene, carry_out
from services.billing.domain import (
    Change,
    CustomerSeen,
    Failed,
    GivenUp,
    InvoiceSeen,
    Paid,
    SubscriptionBegun,
)

router = EventRouter("billing")

# A handler opens and closes cases and never tells an InvoiceUnpaid, the only fact with a deadline.
_NO_DEADLINE = 0


@router.on(StripeEventReceived)
async def take_in(received: StripeEventReceived, uow: Uow) -> None:
    """Once for each Stripe event; what it did is noted beside it."""
    event = read_event(json.loads(received.body))
    changes = domain.translate(event)
    outcomes = [await _apply(change, uow) for change in changes]
    outcome = "; ".join(outcomes) or "known and ignored"
    queries.stripe_copy.add_event_note(uow, event, received.event_id, outcome)


async def _apply(change: Change, uow: Uow) -> str:
    match change:
        case CustomerSeen():
            return await _see_customer(change, uow)
        case InvoiceSeen(fact=None):
            await queries.stripe_copy.save_invoice(uow.session, change.invoice, change.seen_at)
            return "noted"
        case InvoiceSeen():
            return await _see_invoice(change, uow)
        case SubscriptionBegun():
            return await _see_subscription(change, uow)


async def _see_customer(seen: CustomerSeen, uow: Uow) -> str:
    company_id = domain.company_of(seen.customer)
    await queries.stripe_copy.save_customer(uow.session, seen.customer, company_id, seen.seen_at)
    return "noted"


async def _see_invoice(seen: InvoiceSeen, uow: Uow) -> str:
    invoice = seen.invoice
    if invoice.customer_id is None or uow.cause is None:
        raise PermanentFailure(f"invoice {invoice.id} has no customer")
    debtor = await queries.stripe_copy.lock_debtor(uow.session, invoice.customer_id, invoice)
    status = await queries.stripe_copy.save_invoice(uow.session, invoice, seen.seen_at)
    row = await queries.cases.find_case(uow.session, invoice.id)
    step = domain.advance(row.case if row else None, _with_stored_status(seen.fact, status))
    scene = Scene(
        invoice=invoice,
        debtor=debtor,
        row=row,
        causation_id=uow.cause.event_id,
        traceparent=uow.cause.traceparent,
        deadline_days=_NO_DEADLINE,
    )
    await carry_out(uow, scene, step)
    return ", ".join(step.actions) or step.why_not or "noted"


def _with_stored_status(fact: Failed | Paid | GivenUp | None, status: str) -> Failed | Paid | GivenUp:
    """An old failure of an invoice that is known to be settled opens nothing."""
    assert fact is not None, "an invoice event without a fact is only noted"
    if isinstance(fact, Failed):
        return Failed(fact.attempt_count, fact.is_invoice_open and status in ("draft", "open"))
    return fact


async def _see_subscription(begun: SubscriptionBegun, uow: Uow) -> str:
    debtor = await queries.stripe_copy.lock_debtor(uow.session, begun.customer_id, None)
    await uow.publish(
        SubscriptionStarted(
            company_id=debtor.company_id,
            subscription_id=begun.subscription_id,
            started_at=begun.started_at,
        )
    )
    return "told subscription_started"


@router.fold(CompanyRegistered)
async def copy_companies(heard: Sequence[Heard[CompanyRegistered]], session: AsyncSession) -> None:
    """Names and addresses to write to; a company is registered once, so the first telling stays."""
    await queries.stripe_copy.add_companies(session, [h.event for h in heard])
