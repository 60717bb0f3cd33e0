"""What a fact makes notifications do: remember, queue a delivery, or let one fall."""

from __future__ import annotations

from datetime import datetime

from libs.common.database import Uow
from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure
from libs.common.events import CompanyEvent
from libs.common.events.billing import (
    InvoiceClosed,
    InvoicePaid,
    InvoiceUnpaid,
    LineCut,
    LineRestored,
    LineRestricted,
    PaymentActionRequired,
    PaymentRecovered,
    SubscriptionStarted,
)
from libs.common.events.scheduler import SignupStepDue, UnpaidReminderDue
from libs.common.router import EventRouter
from services.notifications import domain, ledger, queries
from services.notifications.domain import STOPPED_BY_PAYMENT, Message, Status, Why

router = EventRouter("notifications")


@router.on(InvoiceUnpaid)
async def queue_unpaid_mail(event: InvoiceUnpaid, uow: Uow) -> None:
    await _lock(event, uow)
    await queries.add_open_invoices(
        uow.session, event.company_id, event.open_invoices, revision=_cause(uow).revision or 0
    )
    await _queue(domain.unpaid(event), uow)


@router.on(InvoicePaid)
async def queue_payment_receipt(event: InvoicePaid, uow: Uow) -> None:
    await _lock(event, uow)
    await _close_invoice(event, event.invoice_id, event.paid_at, uow)
    receipt = domain.payment_receipt(event)
    if receipt is not None:
        await _queue(receipt, uow)


@router.on(PaymentRecovered)
async def queue_payment_recovered_mail(event: PaymentRecovered, uow: Uow) -> None:
    await _lock(event, uow)
    await _close_invoice(event, event.invoice_id, event.paid_at, uow)
    await _queue(domain.payment_recovered(event), uow)


@router.on(PaymentActionRequired)
async def queue_payment_action_required_mail(event: PaymentActionRequired, uow: Uow) -> None:
    await _lock(event, uow)
    await _queue(domain.payment_action_required(event), uow)


@router.on(InvoiceClosed)
async def drop_unpaid_mails(event: InvoiceClosed, uow: Uow) -> None:
    await _lock(event, uow)
    await _close_invoice(event, event.invoice_id, event.closed_at, uow)


@router.on(UnpaidReminderDue)
async def queue_unpaid_reminder(event: UnpaidReminderDue, uow: Uow) -> None:
    await _lock(event, uow)
    await _queue(domain.unpaid_reminder(event), uow)


@router.on(LineRestricted)
async def queue_line_restricted_mail(event: LineRestricted, uow: Uow) -> None:
    await _lock(event, uow)
    await _queue(domain.line_changed(event), uow)


@router.on(LineCut)
async def queue_line_cut_mail(event: LineCut, uow: Uow) -> None:
    await _lock(event, uow)
    await _queue(domain.line_changed(event), uow)


@router.on(LineRestored)
async def queue_line_restored_mail(event: LineRestored, uow: Uow) -> None:
    await _lock(event, uow)
    await _queue(domain.line_changed(event), uow)


@router.on(SignupStepDue)
async def queue_signup_mail(event: SignupStepDue, uow: Uow) -> None:
    await _lock(event, uow)
    await _queue(domain.signup(event), uow)


@router.on(SubscriptionStarted)
async def remember_subscription(event: SubscriptionStarted, uow: Uow) -> None:
    await _lock(event, uow)
    await queries.add_subscribed(uow.session, event.company_id, started_at=event.started_at)


async def _lock(event: CompanyEvent, uow: Uow) -> None:
    # Every writer to a company's deliveries holds its stream: handlers and claimers take turns.
    await uow.lock(str(event.company_id))


def _cause(uow: Uow) -> Envelope:
    if uow.cause is None:
        raise PermanentFailure("a delivery is made by a fact, and this unit of work has none")
    return uow.cause


async def _queue(message: Message, uow: Uow) -> None:
    delivery = await queries.add_delivery(uow.session, message, cause=_cause(uow), now=uow.now)
    if delivery is not None and not delivery.recipient:
        no_address = domain.suppressed(Why.NO_ADDRESS)
        await ledger.settle(uow, [(delivery, no_address)], from_statuses=[Status.PENDING])


async def _close_invoice(event: CompanyEvent, invoice_id: str, closed_at: datetime, uow: Uow) -> None:
    await queries.mark_invoice_closed(uow.session, event.company_id, invoice_id, closed_at=closed_at)
    pending = await queries.list_pending(uow.session, event.company_id, STOPPED_BY_PAYMENT)
    if not pending:
        return
    known = await queries.get_knowledge(uow.session, pending)
    paid = [
        (delivery, domain.suppressed(Why.PAID))
        for delivery in pending
        if domain.stop_of(delivery, known[delivery.id]) is Why.PAID
    ]
    await ledger.settle(uow, paid, from_statuses=[Status.PENDING])
