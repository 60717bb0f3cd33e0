"""What billing tells about money."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from libs.common.events.event import CompanyEvent


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class OpenInvoice(_Value):
    """An invoice that waits for money. Amounts in the currency's smallest unit."""

    invoice_id: str
    number: str | None = None
    amount_remaining_cents: int
    currency: str
    billing_cycle: str
    issued_at: datetime
    hosted_invoice_url: str | None = None


class MethodTried(_Value):
    """One saved payment method of a cycle: what became of it, or why it was skipped."""

    payment_method_id: str
    label: str
    outcome: str
    decline_code: str | None = None


class SubscriptionStarted(CompanyEvent):
    """A company's subscription became active for the first time."""

    type: ClassVar[str] = "billing.subscription_started.v1"
    identity: ClassVar[tuple[str, ...]] = ("subscription_id",)

    subscription_id: str
    started_at: datetime


class InvoicePaid(CompanyEvent):
    """Stripe collected an invoice."""

    type: ClassVar[str] = "billing.invoice_paid.v1"
    identity: ClassVar[tuple[str, ...]] = ("invoice_id",)

    invoice_id: str
    number: str | None = None
    amount_cents: int
    currency: str
    paid_at: datetime
    billing_cycle: str
    hosted_invoice_url: str | None = None
    customer_name: str
    customer_email: str | None = None
    # A recovered payment is written about as such: notifications sends that mail in place of the receipt.
    is_recovered: bool = False


class PaymentRecovered(CompanyEvent):
    """A later saved payment method paid what the first one had refused."""

    type: ClassVar[str] = "billing.payment_recovered.v1"
    identity: ClassVar[tuple[str, ...]] = ("invoice_id",)

    invoice_id: str
    attempt_count: int
    number: str | None = None
    amount_cents: int
    currency: str
    paid_at: datetime
    billing_cycle: str
    hosted_invoice_url: str | None = None
    failed: tuple[MethodTried, ...]
    paid_with: MethodTried
    customer_name: str
    customer_email: str | None = None


class PaymentActionRequired(CompanyEvent):
    """The customer must confirm a payment with the bank (3-D Secure); trying again is useless."""

    type: ClassVar[str] = "billing.payment_action_required.v1"
    identity: ClassVar[tuple[str, ...]] = ("invoice_id", "attempt_count")

    invoice_id: str
    attempt_count: int
    number: str | None = None
    amount_cents: int
    currency: str
    billing_cycle: str
    hosted_invoice_url: str | None = None
    customer_name: str
    customer_email: str | None = None


class InvoiceUnpaid(CompanyEvent):
    """Every saved payment method was tried and none paid."""

    type: ClassVar[str] = "billing.invoice_unpaid.v1"
    identity: ClassVar[tuple[str, ...]] = ("invoice_id", "attempt_count")

    invoice_id: str
    attempt_count: int
    billing_cycle: str
    attempts: tuple[MethodTried, ...]
    open_invoices: tuple[OpenInvoice, ...]
    unpaid_count: int
    total_due_cents: int
    currency: str
    deadline_at: datetime
    stage: int
    # Other unpaid invoices of the company whose methods are still being tried: the mail may wait for them.
    cases_being_tried: int = 0
    customer_name: str
    customer_email: str | None = None


class InvoiceClosed(CompanyEvent):
    """An unpaid invoice needs no more dunning: it was paid, voided or written off."""

    type: ClassVar[str] = "billing.invoice_closed.v1"
    identity: ClassVar[tuple[str, ...]] = ("invoice_id", "reason")

    invoice_id: str
    reason: str
    closed_at: datetime
