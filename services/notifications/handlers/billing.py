"""What billing tells: remember it, queue a message, or let one fall."""

from __future__ import annotations

from datetime import datetime

from libs.common.database import Uow
from libs.common.events import CompanyEvent
from libs.common.events.billing import (
    InvoiceClosed,
    InvoicePaid,
    InvoiceUnpaid,
    LineCut,
    LineRestored,
    LineRestricted,
    PaymentActionRequired,
    PaymentMethodExpiring,
    PaymentRecovered,
    SubscriptionStarted,
)
from services.notifications import domain, ledger, queries
from services.notifications.domain import STOPPED_BY_PAYMENT, Status, Why
from services.notifications.handlers.queueing import cause_of, lock, queue
from services.notifications.handlers.router import router


@router.on(InvoiceUnpaid)
async def queue_unpaid_mail(event: InvoiceUnpaid, uow: Uow) -> None:
    await lock(event, uow)
    await queries.add_open_invoices(
        uow.session, event.company_id, event.open_invoices, revision=cause_of(uow).revision or 0
    )
    await queue(domain.unpaid(event), uow)


@router.on(InvoicePaid)
async def queue_payment_receipt(event: InvoicePaid, uow: Uow) -> None:
    await lock(event, uow)
    await _close_invoice(event, event.invoice_id, event.paid_at, uow)
    receipt = domain.payment_receipt(event)
    if receipt is not None:
        await queue(receipt, uow)


@router.on(PaymentRecovered)
async def queue_payment_recovered_mail(event: PaymentRecovered, uow: Uow) -> None:
    await lock(event, uow)
    await _close_invoice(event, event.invoice_id, event.paid_at, uow)
    await queue(domain.payment_recovered(event), uow)


@router.on(PaymentActionRequired)
async def queue_payment_action_required_mail(event: PaymentActionRequired, uow: Uow) -> None:
    await lock(event, uow)
    await queue(domain.payment_action_required(event), uow)


@router.on(PaymentMethodExpiring)
async def queue_card_expiring_mail(event: PaymentMethodExpiring, uow: Uow) -> None:
    await lock(event, uow)
    await queue(domain.card_expiring(event), uow)


@router.on(InvoiceClosed)
async def drop_unpaid_mails(event: InvoiceClosed, uow: Uow) -> None:
    await lock(event, uow)
    await _close_invoice(event, event.invoice_id, event.closed_at, uow)


@router.on(LineRestricted)
async def queue_line_restricted_mail(event: LineRestricted, uow: Uow) -> None:
    await lock(event, uow)
    await queue(domain.line_changed(event), uow)


@router.on(LineCut)
async def queue_line_cut_mail(event: LineCut, uow: Uow) -> None:
    await lock(event, uow)
    await queue(domain.line_changed(event), uow)


@router.on(LineRestored)
async def queue_line_restored_mail(event: LineRestored, uow: Uow) -> None:
    await lock(event, uow)
    await queue(domain.line_changed(event), uow)


@router.on(SubscriptionStarted)
async def remember_subscription(event: SubscriptionStarted, uow: Uow) -> None:
    await lock(event, uow)
    await queries.add_subscribed(uow.session, event.company_id, started_at=event.started_at)


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
