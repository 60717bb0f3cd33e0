"""Taking in what Stripe told: the copies follow, everybody whom it is about is held, then each change acts.

Webhooks come here, and so do a replay and what was fetched because events disagreed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Uow
from libs.common.errors import PermanentFailure
from libs.common.events.billing import PaymentRefunded
from libs.integrations.stripe import Subscription
from services.billing import domain, links, queries
from services.billing.cases import Scene, carry_out
from services.billing.domain import (
    Change,
    CustomerNamed,
    CustomerSeen,
    DisputeSeen,
    Failed,
    GivenUp,
    InvoiceSeen,
    MethodSeen,
    Paid,
    RefundSeen,
    SubscriptionCopy,
    SubscriptionSeen,
)
from services.billing.queries.cases import CaseRow
from services.billing.queries.debtors import Debtor
from services.billing.queries.methods import MethodCopy
from services.billing.queries.stripe_copy import CustomerCopy, InvoiceCopy

# Only the end of a cycle tells an InvoiceUnpaid, the one fact with a deadline, and no change does that.
_NO_DEADLINE = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What a batch of changes is about, stored and held for the transaction."""

    debtors: Mapping[str, Debtor]
    misplaced: Mapping[str, UUID]
    statuses: Mapping[str, str]
    rows: Mapping[str, CaseRow]
    subscriptions: Mapping[str, SubscriptionCopy]


async def store(changes: Sequence[Change], session: AsyncSession, now: datetime) -> Known:
    """The copies of a batch follow, in a few statements. An invoice, as a subscription, has one Stripe
    customer, hence one key, hence at most one event in a batch."""
    customers = [c for c in changes if isinstance(c, CustomerSeen)]
    if customers:
        copies = [CustomerCopy(c.customer, domain.company_of(c.customer), c.seen_at) for c in customers]
        await queries.stripe_copy.save_customers(session, copies)
    methods = [c for c in changes if isinstance(c, MethodSeen)]
    if methods:
        saved = [MethodCopy(c.method, c.is_detached, c.seen_at) for c in methods]
        await queries.methods.save_methods(session, saved)
    named = [(c.customer_id, c.company_id) for c in changes if isinstance(c, CustomerNamed)]
    if named:
        await queries.debtors.name_customers(session, named, at=now, is_final=False)
    seen_or_named = [*(c.customer.id for c in customers), *(customer_id for customer_id, _ in named)]
    misplaced = await queries.debtors.list_misplaced(session, seen_or_named) if seen_or_named else {}
    emails: dict[str, str | None] = dict.fromkeys(misplaced)
    emails |= dict(
        _debtor_of(c) for c in changes if isinstance(c, InvoiceSeen | SubscriptionSeen | RefundSeen)
    )
    debtors = await queries.debtors.lock_debtors(session, emails) if emails else {}
    invoices = [c for c in changes if isinstance(c, InvoiceSeen)]
    statuses, rows = dict[str, str](), dict[str, CaseRow]()
    if invoices:
        seen = [InvoiceCopy(c.invoice, c.seen_at) for c in invoices]
        statuses = await queries.stripe_copy.save_invoices(session, seen)
        rows = await queries.cases.list_cases(session, [c.invoice.id for c in invoices if c.fact])
    kept = await _store_subscriptions(
        [c for c in changes if isinstance(c, SubscriptionSeen)], debtors, session
    )
    return Known(debtors, misplaced, statuses, rows, kept)


def _debtor_of(change: InvoiceSeen | SubscriptionSeen | RefundSeen) -> tuple[str, str | None]:
    match change:
        case InvoiceSeen():
            return change.customer_id, change.invoice.customer_email
        case SubscriptionSeen():
            return change.copy.subscription.customer_id, None
        case RefundSeen():
            return change.refund.customer_id, None


async def _store_subscriptions(
    seen: Sequence[SubscriptionSeen], debtors: Mapping[str, Debtor], session: AsyncSession
) -> dict[str, SubscriptionCopy]:
    """Answers with what was kept before."""
    if not seen:
        return {}
    kept = await queries.subscriptions.list_copies(session, [c.copy.subscription.id for c in seen])
    further = [
        (c.copy, debtors[c.copy.subscription.customer_id].company_id)
        for c in seen
        if domain.further(kept.get(c.copy.subscription.id), c.copy) is c.copy
    ]
    if further:
        await queries.subscriptions.save_copies(session, further)
    return kept


async def act(change: Change, known: Known, uow: Uow) -> str:
    """What one change deserves, in a word or two for those who ask later what its event did."""
    match change:
        case CustomerSeen():
            return await _act_on_customer(change.customer.id, known, uow)
        case CustomerNamed():
            return await _act_on_customer(change.customer_id, known, uow)
        case InvoiceSeen():
            return await _act_on_invoice(change, known, uow) if change.fact else "noted"
        case SubscriptionSeen():
            debtor = known.debtors[change.copy.subscription.customer_id]
            kept = known.subscriptions.get(change.copy.subscription.id)
            return await tell_subscription(change.copy, kept, debtor.company_id, uow)
        case RefundSeen():
            return await _tell_refund(change, known.debtors[change.refund.customer_id].company_id, uow)
        case MethodSeen():
            return "noted"
        case DisputeSeen():
            await queries.subscriptions.ask_stripe(uow.session, "dispute", change.dispute_id, "whose is it?")
            return "asked whose charge it is"


async def _act_on_customer(customer_id: str, known: Known, uow: Uow) -> str:
    company_id = known.misplaced.get(customer_id)
    if company_id is None:
        return "noted"
    await links.move(customer_id, company_id, uow)
    return "moved to its company"


async def _act_on_invoice(seen: InvoiceSeen, known: Known, uow: Uow) -> str:
    if uow.cause is None:
        raise PermanentFailure("an invoice is seen by an event, and this unit of work has none")
    invoice = seen.invoice
    row = known.rows.get(invoice.id)
    fact = _with_stored_status(seen.fact, known.statuses[invoice.id])
    step = domain.advance(row.case if row else None, fact)
    scene = Scene(
        invoice=invoice,
        debtor=known.debtors[seen.customer_id],
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


async def take_in_fetched(subscription: Subscription, uow: Uow) -> str:
    """What was fetched, by the way that events take. It beats what is kept of its own second and gives way to
    any later event: Stripe's clock and ours are not compared."""
    kept = await queries.subscriptions.list_copies(uow.session, [subscription.id])
    seen_at = kept[subscription.id].seen_at if subscription.id in kept else uow.now
    seen = SubscriptionSeen(SubscriptionCopy(subscription, seen_at, is_fetched=True))
    known = await store([seen], uow.session, uow.now)
    return await act(seen, known, uow)


async def tell_subscription(
    copy: SubscriptionCopy, kept: SubscriptionCopy | None, company_id: UUID, uow: Uow
) -> str:
    """The facts that a copy deserves; where two copies of one second disagree, Stripe is asked."""
    subscription = copy.subscription
    if domain.must_ask(kept, copy):
        await queries.subscriptions.ask_stripe(
            uow.session, "subscription", subscription.id, "two events of one second disagree"
        )
    has_another = subscription.is_ended and await queries.subscriptions.has_another(
        uow.session, company_id, subscription.id
    )
    told = domain.told_of(company_id, kept, copy, has_another=has_another)
    for event in told:
        await uow.publish(event)
    return ", ".join(f"told {event.type.split('.')[1]}" for event in told) or "noted"


async def _tell_refund(seen: RefundSeen, company_id: UUID, uow: Uow) -> str:
    refund = seen.refund
    await uow.publish(
        PaymentRefunded(
            company_id=company_id,
            charge_id=refund.charge_id,
            refunded_cents=refund.refunded,
            amount_cents=refund.amount,
            currency=refund.currency,
            refunded_at=seen.seen_at,
        )
    )
    return "told payment_refunded"
