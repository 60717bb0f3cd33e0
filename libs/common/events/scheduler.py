"""What the clock tells."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar

from libs.common.events.event import CompanyEvent, Event


class SignupStepDue(CompanyEvent):
    """A step of the sign-up routine is due for a company that has not subscribed."""

    type: ClassVar[str] = "scheduler.signup_step_due.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "step")

    step: str
    due_at: datetime
    expires_at: datetime
    name: str
    email: str


class UnpaidReminderDue(CompanyEvent):
    """A company's invoices are still unpaid so many days after the earliest: time for the next notice."""

    type: ClassVar[str] = "scheduler.unpaid_reminder_due.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "anchor_invoice_id", "stage")

    anchor_invoice_id: str
    stage: int
    due_at: datetime
    # As the anchor's InvoiceUnpaid said them.
    deadline_at: datetime | None = None
    currency: str = "eur"
    customer_name: str = ""
    customer_email: str | None = None


class CutoffDue(CompanyEvent):
    """A company's deadline has passed: told each working morning while it has, decided anew each time."""

    type: ClassVar[str] = "scheduler.cutoff_due.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "due_on")

    due_on: date
    deadline_at: datetime


class StripeReconciliationDue(Event):
    """Time to ask Stripe which events were missed."""

    type: ClassVar[str] = "scheduler.stripe_reconciliation_due.v1"
    identity: ClassVar[tuple[str, ...]] = ("due_at",)

    due_at: datetime

    @property
    def key(self) -> str:
        return "stripe"


class SubscriptionCheckDue(CompanyEvent):
    """Time to compare a company's subscription with Stripe's."""

    type: ClassVar[str] = "scheduler.subscription_check_due.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "subscription_id", "due_on")

    subscription_id: str
    due_on: date


class CardCheckDue(Event):
    """Time to look whose card expires soon."""

    type: ClassVar[str] = "scheduler.card_check_due.v1"
    identity: ClassVar[tuple[str, ...]] = ("due_on",)

    # A day of Paris.
    due_on: date

    @property
    def key(self) -> str:
        return "cards"
