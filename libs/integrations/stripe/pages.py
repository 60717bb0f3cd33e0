"""What one request to Stripe answers with, where that is several objects."""

from __future__ import annotations

from dataclasses import dataclass

from libs.integrations.stripe.fields import JsonObject
from libs.integrations.stripe.objects import Customer, Invoice, LastFailure


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of the list of events, newest first, each as Stripe's JSON has it."""

    events: list[JsonObject]
    has_more: bool


@dataclass(frozen=True, slots=True)
class InvoicePage:
    """A page of a list of invoices, newest first."""

    invoices: list[Invoice]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Unpaid:
    """An invoice, and all that is asked when it could not be collected: one request."""

    invoice: Invoice
    customer: Customer | None
    default_payment_method_id: str | None
    """The invoice's own, else its subscription's, else the customer's."""
    last_failure: LastFailure | None
    collecting_method_id: str | None
    """The method that paid, or whose payment is still under way."""
