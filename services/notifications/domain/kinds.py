"""The one table of what we write: fact, category, channels, template, expiry, stop conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from libs.common.events import Event
from libs.common.events.billing import (
    InvoicePaid,
    InvoiceUnpaid,
    LineCut,
    LineRestored,
    LineRestricted,
    PaymentActionRequired,
    PaymentMethodExpiring,
    PaymentRecovered,
)
from libs.common.events.operations import EventSetAside
from libs.common.events.scheduler import SignupStepDue, UnpaidReminderDue
from services.notifications.domain.deliveries import Category, Channel, Delivery, Knowledge, Why

RECENT_NOTICE = timedelta(hours=72)
BOTH = (Channel.MAIL, Channel.SMS)

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


def owes_nothing(delivery: Delivery, known: Knowledge) -> bool:
    return not known.open_invoices


def is_noticed_recently(delivery: Delivery, known: Knowledge) -> bool:
    """Counted from when the reminder was due to be written, so that waiting to be sent changes nothing."""
    return known.noticed_at is not None and known.noticed_at > delivery.created_at - RECENT_NOTICE


def is_subscribed(delivery: Delivery, known: Knowledge) -> bool:
    return known.is_subscribed


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table below. `stops` are looked at in order when the delivery is claimed."""

    fact: type[Event]
    category: Category
    template: str
    expires_after: timedelta
    channels: tuple[Channel, ...] = (Channel.MAIL,)
    stops: tuple[tuple[Stop, Why], ...] = ()
    # Whether it lists every invoice that is open when it is sent.
    lists_invoices: bool = False


KINDS: Mapping[str, Kind] = {
    "unpaid": Kind(
        fact=InvoiceUnpaid,
        category=Category.LEGAL,
        template="unpaid",
        expires_after=timedelta(days=7),
        stops=((has_no_open_invoice, Why.PAID), (is_listed_elsewhere, Why.ALREADY_LISTED)),
        lists_invoices=True,
    ),
    "unpaid_reminder": Kind(
        fact=UnpaidReminderDue,
        category=Category.LEGAL,
        template="unpaid_reminder",
        expires_after=timedelta(days=3),
        stops=((has_no_open_invoice, Why.PAID), (is_noticed_recently, Why.RECENT_NOTICE)),
        lists_invoices=True,
    ),
    "line_restricted": Kind(
        fact=LineRestricted,
        category=Category.LEGAL,
        template="line_restricted",
        expires_after=timedelta(days=3),
        channels=BOTH,
        stops=((owes_nothing, Why.PAID),),
        lists_invoices=True,
    ),
    "line_cut": Kind(
        fact=LineCut,
        category=Category.LEGAL,
        template="line_cut",
        expires_after=timedelta(days=3),
        channels=BOTH,
        stops=((owes_nothing, Why.PAID),),
        lists_invoices=True,
    ),
    "line_restored": Kind(
        fact=LineRestored,
        category=Category.LEGAL,
        template="line_restored",
        expires_after=timedelta(days=3),
        channels=BOTH,
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
    "card_expiring": Kind(
        fact=PaymentMethodExpiring,
        category=Category.TRANSACTIONAL,
        template="card_expiring",
        expires_after=timedelta(days=7),
    ),
    "signup_first_step": Kind(
        fact=SignupStepDue,
        category=Category.MARKETING,
        template="signup_first_step",
        expires_after=timedelta(days=2),  # the fact says its own, which counts
        stops=((is_subscribed, Why.SUBSCRIBED),),
    ),
    "team_digest": Kind(
        fact=EventSetAside,  # among others: see domain/digests.py
        category=Category.INTERNAL,
        template="team_digest",
        expires_after=timedelta(days=2),
    ),
}
"""Every kind of message: the fact that makes it, its category, its channels, when it stops being wanted."""

NOTICES = ("unpaid", "unpaid_reminder")
"""The kinds that ask for money, and by that warn of a cut."""

STOPPED_BY_PAYMENT = tuple(kind for kind, row in KINDS.items() if row.lists_invoices)
"""The kinds that nobody wants any more once everything is paid."""
