"""What Stripe's words mean to us. The only place that reads a Stripe event."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from libs.common.errors import PermanentFailure
from libs.common.events.event import uuid_of
from libs.integrations.stripe import (
    Customer,
    Invoice,
    PaymentMethod,
    Refund,
    StripeEvent,
    read_customer,
    read_dispute,
    read_invoice,
    read_payment_method,
    read_refund,
    read_subscription,
)
from libs.integrations.stripe.fields import id_of
from services.billing.domain.attempts import is_own_key
from services.billing.domain.dunning import Failed, GivenUp, Paid
from services.billing.domain.subscriptions import SubscriptionCopy


@dataclass(frozen=True, slots=True)
class CustomerSeen:
    """A customer as Stripe had it at `seen_at`."""

    customer: Customer
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class InvoiceSeen:
    """An invoice as Stripe had it at `seen_at`, and what that says to its dunning case, if anything."""

    invoice: Invoice
    customer_id: str
    seen_at: datetime
    fact: Failed | Paid | GivenUp | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionSeen:
    """A subscription as Stripe had it."""

    copy: SubscriptionCopy


@dataclass(frozen=True, slots=True)
class CustomerNamed:
    """Somebody bought under a name that we gave: the customer is this company."""

    customer_id: str
    company_id: UUID


@dataclass(frozen=True, slots=True)
class RefundSeen:
    """Money went back."""

    refund: Refund
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class DisputeSeen:
    """A dispute opened or closed; whose charge it is must still be asked."""

    dispute_id: str


@dataclass(frozen=True, slots=True)
class MethodSeen:
    """A saved payment method as Stripe had it; a detached one belongs to nobody any more, for good."""

    method: PaymentMethod
    is_detached: bool
    seen_at: datetime


Change = CustomerSeen | InvoiceSeen | SubscriptionSeen | CustomerNamed | RefundSeen | DisputeSeen | MethodSeen

KNOWN_AND_IGNORED = frozenset(
    {
        "checkout.session.completed",
        "invoice.upcoming",
        "invoice_payment.paid",
        "setup_intent.succeeded",
    }
)
"""Types that are subscribed to and change nothing here; others without a change are noted as not known."""


def company_of(customer: Customer) -> UUID | None:
    """The company id that Stripe's metadata holds; the old system's numbers get a UUID of their own."""
    return company_named(customer.company)


def company_named(name: str | None) -> UUID | None:
    if not name:
        return None
    try:
        return UUID(name)
    except ValueError:
        return uuid_of(f"legacy_company|{name}")


def translate(event: StripeEvent) -> list[Change]:
    """What changes for us; nothing for an event that tells us nothing.

    Raises PermanentFailure when an event that we know does not have the shape that it must have.
    """
    match event.type.split("."):
        case ["customer", "created" | "updated" | "deleted"]:
            return _customer_seen(event)
        case ["customer", "subscription", _]:
            copy = SubscriptionCopy(read_subscription(event.thing), event.created_at)
            return [SubscriptionSeen(copy)]
        case ["invoice", _]:
            return _invoice_seen(event)
        case ["charge", *what]:
            return _charge_seen(event, what)
        case ["checkout", "session", "completed"]:
            return _customer_named(event)
        case ["payment_method", "attached" | "automatically_updated" | "detached" | "updated" as what]:
            return [MethodSeen(_method(event), what == "detached", event.created_at)]
        case _:
            return []


def _method(event: StripeEvent) -> PaymentMethod:
    try:
        return read_payment_method(event.thing)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise PermanentFailure(f"not a payment method: {type(error).__name__} at {error}") from error


def _customer_seen(event: StripeEvent) -> list[Change]:
    customer = read_customer(event.thing)
    if event.type == "customer.deleted":
        customer = replace(customer, is_deleted=True)
    return [CustomerSeen(customer, event.created_at)]


def _charge_seen(event: StripeEvent, what: list[str]) -> list[Change]:
    match what:
        case ["refunded"]:
            refund = read_refund(event.thing)
            return [RefundSeen(refund, event.created_at)] if refund else []
        case ["dispute", "created" | "closed"]:
            return [DisputeSeen(read_dispute(event.thing).id)]
        case _:
            return []


def _customer_named(event: StripeEvent) -> list[Change]:
    customer_id = id_of(event.thing.get("customer"))
    company_id = company_named(event.thing.get("client_reference_id"))
    if customer_id is None or company_id is None:
        return []
    return [CustomerNamed(customer_id, company_id)]


def _invoice_seen(event: StripeEvent) -> list[Change]:
    if not event.thing.get("id"):  # invoice.upcoming: a forecast, not yet an invoice
        return []
    invoice = read_invoice(event.thing)
    if invoice.customer_id is None:
        return []
    return [InvoiceSeen(invoice, invoice.customer_id, event.created_at, _fact_of(event, invoice))]


def _fact_of(event: StripeEvent, invoice: Invoice) -> Failed | Paid | GivenUp | None:
    match event.type:
        case "invoice.payment_failed" if not is_own_key(event.idempotency_key):
            is_open = invoice.status == "open" and invoice.amount_remaining > 0
            return Failed(invoice.attempt_count, is_open)
        case "invoice.paid" | "invoice.payment_succeeded":
            return Paid()
        case "invoice.voided":
            return GivenUp("voided")
        case "invoice.marked_uncollectible":
            return GivenUp("uncollectible")
        case _:
            return None
