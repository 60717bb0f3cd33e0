"""The one table of what we write: fact, category, channels, template, expiry, stop conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from libs.common.events import CompanyEvent
from libs.common.events.billing import InvoicePaid, InvoiceUnpaid, PaymentActionRequired, PaymentRecovered
from libs.common.events.scheduler import SignupStepDue
from services.notifications.domain.deliveries import Category, Channel, Delivery, Knowledge, Why

Stop: TypeAlias = Callable[[Delivery, Knowledge], bool]


def has_no_open_invoice(delivery: Delivery, known: Knowledge) -> bool:
    """Every invoice that this delivery speaks of, its own and those it listed before, is closed."""
    mine = {delivery.invoice_id, *delivery.invoice_ids}
    return not any(invoice.invoice_id in mine for invoice in known.open_invoices)


def is_closed(delivery: Delivery, known: Knowledge) -> bool:
    return delivery.invoice_id in known.closed_invoice_ids


def is_listed_elsewhere(delivery: Delivery, known: Knowledge) -> bool:
    """Another mail told of this invoice in this billing cycle, and the stage has not risen since."""
    return any(
        listed.invoice_id == delivery.invoice_id
        and listed.billing_cycle == delivery.billing_cycle
        and listed.stage >= (delivery.stage or 0)
        and listed.delivery_id != delivery.id
        for listed in known.listed
    )


def is_subscribed(delivery: Delivery, known: Knowledge) -> bool:
    return known.is_subscribed


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table below. `stops` are looked at in order when the delivery is claimed."""

    fact: type[CompanyEvent]
    category: Category
    template: str
    expires_after: timedelta
    channels: tuple[Channel, ...] = (Channel.MAIL,)
    stops: tuple[tuple[Stop, Why], ...] = ()


KINDS: Mapping[str, Kind] = {
    "unpaid": Kind(
        fact=InvoiceUnpaid,
        category=Category.LEGAL,
        template="unpaid",
        expires_after=timedelta(days=7),
        stops=((has_no_open_invoice, Why.PAID), (is_listed_elsewhere, Why.ALREADY_LISTED)),
    ),
    "payment_action_required": Kind(
        fact=PaymentActionRequired,
        category=Category.LEGAL,
        template="payment_action_required",
        expires_after=timedelta(days=3),
        stops=((is_closed, Why.PAID),),
    ),
    "payment_receipt": Kind(
        fact=InvoicePaid,
        category=Category.TRANSACTIONAL,
        template="payment_receipt",
        expires_after=timedelta(days=7),
    ),
    "payment_recovered": Kind(
        fact=PaymentRecovered,
        category=Category.TRANSACTIONAL,
        template="payment_recovered",
        expires_after=timedelta(days=7),
    ),
    "signup_first_step": Kind(
        fact=SignupStepDue,
        category=Category.MARKETING,
        template="signup_first_step",
        expires_after=timedelta(days=2),  # the fact says its own, which counts
        stops=((is_subscribed, Why.SUBSCRIBED),),
    ),
}
"""Every kind of message: the fact that makes it, its category, its channels, when it stops being wanted."""
