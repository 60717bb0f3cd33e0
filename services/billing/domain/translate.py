"""What Stripe's words mean to us. The only place that reads a Stripe event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.events.event import uuid_of
from libs.integrations.stripe import Customer, Invoice, StripeEvent, read_customer, read_invoice
from services.billing.domain.attempts import is_own_key
from services.billing.domain.dunning import Failed, GivenUp, Paid


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
class SubscriptionBegun:
    """A subscription is active."""

    subscription_id: str
    customer_id: str
    started_at: datetime


Change = CustomerSeen | InvoiceSeen | SubscriptionBegun


def company_of(customer: Customer) -> UUID | None:
    """The company id that Stripe's metadata holds; the old system's numbers get a UUID of their own."""
    if not customer.company:
        return None
    try:
        return UUID(customer.company)
    except ValueError:
        return uuid_of(f"legacy_company|{customer.company}")


def translate(event: StripeEvent) -> list[Change]:
    """What changes for us; nothing for an event that tells us nothing.

    Raises PermanentFailure when an event that we know does not have the shape that it must have.
    """
    match event.type.split("."):
        case ["customer", "created" | "updated" | "deleted"]:
            return [CustomerSeen(read_customer(event.thing), event.created_at)]
        case ["invoice", _]:
            return _invoice_seen(event)
        case ["customer", "subscription", "created" | "updated"]:
            return _subscription_begun(event)
        case _:
            return []


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


def _subscription_begun(event: StripeEvent) -> list[Change]:
    thing = event.thing
    customer = thing.get("customer")
    customer_id = customer.get("id") if isinstance(customer, dict) else customer
    if thing.get("status") != "active" or not customer_id or not thing.get("id"):
        return []
    return [SubscriptionBegun(thing["id"], customer_id, event.created_at)]
