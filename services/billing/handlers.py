"""What a fact starts in billing: the copy of Stripe's objects follows, dunning cases open and close."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Uow
from libs.common.events.billing import SubscriptionStarted
from libs.common.events.directory import CompanyRegistered
from libs.common.events.scheduler import StripeReconciliationDue, SubscriptionCheckDue
from libs.common.events.stripe import StripeEventReceived
from libs.common.router import EventRouter, Heard, Taken
from libs.integrations.stripe import StripeEvent, read_event
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
from services.billing.queries.cases import CaseRow
from services.billing.queries.stripe_copy import CustomerCopy, Debtor, InvoiceCopy

router = EventRouter("billing")

# A handler opens and closes cases and never tells an InvoiceUnpaid, the only fact with a deadline.
_NO_DEADLINE = 0


@dataclass(frozen=True, slots=True)
class _Known:
    """What a batch of Stripe events is about, stored and held for the transaction."""

    debtors: Mapping[str, Debtor]
    statuses: Mapping[str, str]
    rows: Mapping[str, CaseRow]


@router.on_batch(StripeEventReceived)
async def take_in(batch: Sequence[Taken[StripeEventReceived]]) -> None:
    """Each Stripe event acts once; what it did is noted beside it. What they need is read for all at once."""
    read = [read_event(json.loads(taken.event.body)) for taken in batch]
    changes = [domain.translate(event) for event in read]
    known = await _store(changes, batch[0].uow.session)
    for taken, event, its_changes in zip(batch, read, changes, strict=True):
        taken.resume_trace()
        outcomes = [await _apply(change, known, taken.uow) for change in its_changes]
        outcome = "; ".join(outcomes) or "known and ignored"
        queries.stripe_copy.add_event_note(taken.uow, event, taken.event.event_id, outcome)


async def _store(changes: Sequence[Sequence[Change]], session: AsyncSession) -> _Known:
    """The copies follow; everybody whom a change is about is held. An invoice has one Stripe customer, hence
    one key, hence at most one event in a batch."""
    every = [change for its_changes in changes for change in its_changes]
    customers = [c for c in every if isinstance(c, CustomerSeen)]
    invoices = [c for c in every if isinstance(c, InvoiceSeen)]
    if customers:
        copies = [CustomerCopy(c.customer, domain.company_of(c.customer), c.seen_at) for c in customers]
        await queries.stripe_copy.save_customers(session, copies)
    debtors, statuses, rows = dict[str, Debtor](), dict[str, str](), dict[str, CaseRow]()
    debtor_ids = [c.customer_id for c in every if isinstance(c, InvoiceSeen | SubscriptionBegun)]
    if debtor_ids:
        debtors = await queries.stripe_copy.lock_debtors(session, debtor_ids)
    if invoices:
        seen = [InvoiceCopy(c.invoice, c.seen_at) for c in invoices]
        statuses = await queries.stripe_copy.save_invoices(session, seen)
        rows = await queries.cases.list_cases(session, [c.invoice.id for c in invoices if c.fact])
    return _Known(debtors, statuses, rows)


async def _apply(change: Change, known: _Known, uow: Uow) -> str:
    match change:
        case CustomerSeen() | InvoiceSeen(fact=None):
            return "noted"
        case InvoiceSeen():
            return await _see_invoice(change, known, uow)
        case SubscriptionBegun():
            return await _see_subscription(change, known.debtors[change.customer_id], uow)


async def _see_invoice(seen: InvoiceSeen, known: _Known, uow: Uow) -> str:
    assert uow.cause is not None, "an invoice is seen by a Stripe event"
    invoice = seen.invoice
    row = known.rows.get(invoice.id)
    step = domain.advance(
        row.case if row else None, _with_stored_status(seen.fact, known.statuses[invoice.id])
    )
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


async def _see_subscription(begun: SubscriptionBegun, debtor: Debtor, uow: Uow) -> str:
    await uow.publish(
        SubscriptionStarted(
            company_id=debtor.company_id,
            subscription_id=begun.subscription_id,
            started_at=begun.started_at,
        )
    )
    return "told subscription_started"


async def take_in_fetched(event: StripeEvent, uow: Uow) -> str:
    """What was fetched from Stripe, by the way that a webhook takes; Stripe did not send this `event`."""
    changes = domain.translate(event)
    known = await _store([changes], uow.session)
    return "; ".join([await _apply(change, known, uow) for change in changes]) or "known and ignored"


@router.on(SubscriptionCheckDue)
async def ask_for_check(event: SubscriptionCheckDue, uow: Uow) -> None:
    assert uow.cause is not None, "a check is asked for by a fact"
    await queries.subscription_checks.add_check(
        uow.session, event, causation_id=uow.cause.event_id, traceparent=uow.cause.traceparent
    )


@router.on(StripeReconciliationDue)
async def ask_for_walk(event: StripeReconciliationDue, uow: Uow) -> None:
    assert uow.cause is not None, "a walk is asked for by a fact"
    await queries.reconciliation.mark_wanted(
        uow.session, uow.now, causation_id=uow.cause.event_id, traceparent=uow.cause.traceparent
    )


@router.fold(CompanyRegistered)
async def copy_companies(heard: Sequence[Heard[CompanyRegistered]], session: AsyncSession) -> None:
    """Names and addresses to write to; a company is registered once, so the first telling stays."""
    await queries.stripe_copy.add_companies(session, [h.event for h in heard])
