"""Which message a fact makes. The contexts hold what the templates need, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from libs.common.errors import PermanentFailure
from libs.common.events.billing import (
    InvoicePaid,
    InvoiceUnpaid,
    LineCut,
    LineRestored,
    LineRestricted,
    OpenInvoice,
    PaymentActionRequired,
    PaymentMethodExpiring,
    PaymentRecovered,
)
from libs.common.events.scheduler import SignupStepDue, UnpaidReminderDue
from services.notifications.domain.deliveries import Channel, Contact, Delivery, Message, Why
from services.notifications.domain.kinds import KINDS
from services.notifications.domain.numbers import mobile_of


def unpaid(event: InvoiceUnpaid) -> Message:
    wanted = {
        "customer_name", "invoice_id", "attempts", "deadline_at", "stage", "currency", "cases_being_tried",
        "card_url",
    }  # fmt: skip
    return Message(
        kind="unpaid",
        dedup_key=f"unpaid:{event.invoice_id}:{event.attempt_count}",
        company_id=event.company_id,
        recipient=event.customer_email,
        recipient_name=event.customer_name,
        invoice_id=event.invoice_id,
        billing_cycle=event.billing_cycle,
        stage=event.stage,
        context=event.model_dump(mode="json", include=wanted),
    )


def unpaid_reminder(event: UnpaidReminderDue) -> Message:
    wanted = {"customer_name", "deadline_at", "stage", "currency"}
    return Message(
        kind="unpaid_reminder",
        dedup_key=f"unpaid_reminder:{event.company_id}:{event.anchor_invoice_id}:{event.stage}",
        company_id=event.company_id,
        recipient=event.customer_email,
        recipient_name=event.customer_name,
        invoice_id=event.anchor_invoice_id,
        stage=event.stage,
        context=event.model_dump(mode="json", include=wanted),
    )


def line_changed(event: LineRestricted | LineCut | LineRestored) -> Message:
    """Each of the three is a kind of its own, at most once an episode."""
    kind = _KIND_OF_LINES[type(event)]
    invoice_ids = () if isinstance(event, LineRestored) else event.invoice_ids
    return Message(
        kind=kind,
        dedup_key=f"{kind}:{event.company_id}:{event.episode}",
        company_id=event.company_id,
        recipient=event.customer_email,
        recipient_name=event.customer_name,
        invoice_id=next(iter(invoice_ids), None),
        context={"customer_name": event.customer_name},
    )


_KIND_OF_LINES: Mapping[type, str] = {
    LineRestricted: "line_restricted",
    LineCut: "line_cut",
    LineRestored: "line_restored",
}


def payment_receipt(event: InvoicePaid) -> Message | None:
    """None for a recovered payment: it is written about as such, in place of the receipt."""
    if event.is_recovered:
        return None
    return _about_one_invoice("payment_receipt", f"payment_receipt:{event.invoice_id}", event)


def payment_recovered(event: PaymentRecovered) -> Message:
    return _about_one_invoice("payment_recovered", f"payment_recovered:{event.invoice_id}", event)


def payment_action_required(event: PaymentActionRequired) -> Message:
    key = f"payment_action_required:{event.invoice_id}:{event.attempt_count}"
    return _about_one_invoice("payment_action_required", key, event)


def card_expiring(event: PaymentMethodExpiring) -> Message:
    key = f"card_expiring:{event.stripe_customer_id}:{event.card}:{event.expires_on.isoformat()}"
    wanted = {"customer_name", "label", "expires_on", "card_url"}
    return Message(
        kind="card_expiring",
        dedup_key=key,
        company_id=event.company_id,
        recipient=event.customer_email,
        recipient_name=event.customer_name,
        context=event.model_dump(mode="json", include=wanted),
    )


def _about_one_invoice(
    kind: str, dedup_key: str, event: InvoicePaid | PaymentRecovered | PaymentActionRequired
) -> Message:
    return Message(
        kind=kind,
        dedup_key=dedup_key,
        company_id=event.company_id,
        recipient=event.customer_email,
        recipient_name=event.customer_name,
        invoice_id=event.invoice_id,
        billing_cycle=event.billing_cycle,
        context=event.model_dump(mode="json", exclude={"company_id", "customer_email"}),
    )


def signup(event: SignupStepDue) -> Message:
    """Each step is a kind of its own. Raises PermanentFailure for a step that nobody has written yet."""
    if event.step not in KINDS:
        raise PermanentFailure(f"there is no mail for the sign-up step {event.step!r}")
    return Message(
        kind=event.step,
        dedup_key=f"signup:{event.company_id}:{event.step}",
        company_id=event.company_id,
        recipient=event.email,
        recipient_name=event.name,
        expires_at=event.expires_at,
        context={"customer_name": event.name},
    )


def addressed(message: Message, contact: Contact) -> Message:
    """What the fact left open, from the directory."""
    return replace(
        message,
        recipient=message.recipient or contact.email,
        recipient_name=message.recipient_name or contact.name or "",
        phone=message.phone or contact.phone,
    )


def reachable(message: Message) -> tuple[Message, Why | None]:
    """The message, its number in E.164 where it goes by SMS; with why its channel leads nowhere, if so."""
    if message.channel is not Channel.SMS:
        return message, None if message.recipient else Why.NO_ADDRESS
    number, why = mobile_of(message.phone)
    return replace(message, phone=number or None), why


def context_to_send(
    delivery: Delivery, open_invoices: Sequence[OpenInvoice], house: Mapping[str, str]
) -> dict[str, Any]:
    """What the template gets: the house's own values (`login_url`, `brand_name`…), what the fact said, and
    where it lists invoices every one that is open by now."""
    context: dict[str, Any] = {**house, **delivery.context}
    if KINDS[delivery.kind].lists_invoices:
        context.setdefault("currency", next((invoice.currency for invoice in open_invoices), "eur"))
        context["open_invoices"] = [invoice.model_dump(mode="json") for invoice in open_invoices]
        context["unpaid_count"] = len(open_invoices)
        context["total_due_cents"] = sum(invoice.amount_remaining_cents for invoice in open_invoices)
    return context
