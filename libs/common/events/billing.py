"""What billing tells about money."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

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
    # Our own link to it, signed and good for a while; it leads to the address above.
    pay_url: str | None = None


class MethodTried(_Value):
    """One saved payment method of a cycle: what became of it, or why it was skipped."""

    payment_method_id: str
    label: str
    outcome: str
    decline_code: str | None = None


class SubscriptionStarted(CompanyEvent):
    """A company's subscription became active for the first time."""

    type: ClassVar[str] = "billing.subscription_started.v1"
    # With the company: told of a provisional one, it is told again of the one that it turned out to be.
    identity: ClassVar[tuple[str, ...]] = ("company_id", "subscription_id")

    subscription_id: str
    started_at: datetime
    plan: str | None = None


class TrialStarted(CompanyEvent):
    """A company's subscription began with a trial."""

    type: ClassVar[str] = "billing.trial_started.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "subscription_id")

    subscription_id: str
    started_at: datetime
    trial_ends_at: datetime
    plan: str | None = None


class SubscriptionChanged(CompanyEvent):
    """A subscription came, or its state or plan changed; `status` is Stripe's word for it, or `lifetime`."""

    type: ClassVar[str] = "billing.subscription_changed.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "subscription_id", "status", "plan_id", "changed_at")

    subscription_id: str
    status: str
    previous_status: str | None = None
    plan_id: str | None = None
    plan: str | None = None
    previous_plan: str | None = None
    # What a month of it costs, in the currency's smallest unit; None where Stripe does not say.
    monthly_cents: int | None = None
    currency: str | None = None
    trial_ends_at: datetime | None = None
    ends_at: datetime | None = None
    changed_at: datetime


class SubscriptionCanceled(CompanyEvent):
    """A subscription ended."""

    type: ClassVar[str] = "billing.subscription_canceled.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "subscription_id")

    subscription_id: str
    canceled_at: datetime
    reason: str | None = None
    # Whether the company has another subscription that goes on.
    has_another: bool = False


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
    pay_url: str | None = None
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
    # The deadline that this invoice alone would have: it counts once the earlier ones are paid.
    invoice_deadline_at: datetime | None = None
    # Other unpaid invoices of the company whose methods are still being tried: the mail may wait for them.
    cases_being_tried: int = 0
    # Our own links, signed and good for a while: to this invoice, and to change the card.
    pay_url: str | None = None
    card_url: str | None = None
    customer_name: str
    customer_email: str | None = None


class InvoiceClosed(CompanyEvent):
    """An unpaid invoice needs no more dunning: it was paid, voided or written off."""

    type: ClassVar[str] = "billing.invoice_closed.v1"
    identity: ClassVar[tuple[str, ...]] = ("invoice_id", "reason")

    invoice_id: str
    reason: str
    closed_at: datetime


class PaymentMethodExpiring(CompanyEvent):
    """The card that a company's next payment would be asked of is in its last days."""

    type: ClassVar[str] = "billing.payment_method_expiring.v1"
    # Once for each card and date, however often the card was saved and whoever the customer turns out to be.
    identity: ClassVar[tuple[str, ...]] = ("stripe_customer_id", "card", "expires_on")

    stripe_customer_id: str
    # The same for the same card, however often it was saved.
    card: str
    payment_method_id: str
    label: str
    # The last day on which it is good.
    expires_on: date
    card_url: str | None = None
    customer_name: str = ""
    customer_email: str | None = None


class PaymentRefunded(CompanyEvent):
    """Money went back to a customer; the amount is what was refunded of the charge so far."""

    type: ClassVar[str] = "billing.payment_refunded.v1"
    identity: ClassVar[tuple[str, ...]] = ("charge_id", "refunded_cents")

    charge_id: str
    refunded_cents: int
    amount_cents: int
    currency: str
    refunded_at: datetime


class DisputeOpened(CompanyEvent):
    """A customer disputes a payment with the bank."""

    type: ClassVar[str] = "billing.dispute_opened.v1"
    identity: ClassVar[tuple[str, ...]] = ("dispute_id",)

    dispute_id: str
    charge_id: str | None = None
    amount_cents: int
    currency: str
    reason: str | None = None
    opened_at: datetime


class DisputeClosed(CompanyEvent):
    """A dispute ended; `outcome` is Stripe's word, such as won or lost."""

    type: ClassVar[str] = "billing.dispute_closed.v1"
    identity: ClassVar[tuple[str, ...]] = ("dispute_id",)

    dispute_id: str
    outcome: str
    closed_at: datetime


class _LineEvent(CompanyEvent):
    """`episode` numbers a company's stretches of being unpaid: each has each of these at most once."""

    episode: int
    at: datetime
    policy_version: str
    why: str
    customer_name: str = ""
    customer_email: str | None = None


class LineRestricted(_LineEvent):
    """A company's outgoing calls are to be restricted; emergency numbers stay reachable."""

    type: ClassVar[str] = "billing.line_restricted.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "episode")

    invoice_ids: tuple[str, ...] = ()


class LineCut(_LineEvent):
    """A company's lines are to be cut; emergency numbers stay reachable."""

    type: ClassVar[str] = "billing.line_cut.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "episode")

    invoice_ids: tuple[str, ...] = ()
    # The notice that made it lawful: a delivery of notifications, accepted long enough before.
    notice_delivery_id: UUID | None = None


class LineRestored(_LineEvent):
    """A company's lines are to work again as before."""

    type: ClassVar[str] = "billing.line_restored.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "episode")


class LineStateConfirmed(CompanyEvent):
    """The phone platform did what was wanted of a company's lines, or said why not."""

    type: ClassVar[str] = "billing.line_state_confirmed.v1"
    identity: ClassVar[tuple[str, ...]] = ("wish_id", "is_done")

    wish_id: UUID
    wanted: str
    is_done: bool
    answer: str
    confirmed_at: datetime
