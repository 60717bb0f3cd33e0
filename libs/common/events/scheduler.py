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


class CutoffWarningDue(CompanyEvent):
    """A company's lines are to be cut soon: the last notice before, at least two days ahead."""

    type: ClassVar[str] = "scheduler.cutoff_warning_due.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "anchor_invoice_id", "cutoff_at")

    anchor_invoice_id: str
    # Not cut before this moment; a warning that could not be sent by then is not sent.
    cutoff_at: datetime
    currency: str = "eur"
    customer_name: str = ""
    customer_email: str | None = None


class TrialEndingSoon(CompanyEvent):
    """A company's trial ends in three days, or in one."""

    type: ClassVar[str] = "scheduler.trial_ending_soon.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "subscription_id", "days")

    subscription_id: str
    days: int
    trial_ends_at: datetime
    plan: str | None = None
    # Whom to write to; not said: whom the directory names.
    customer_name: str = ""
    customer_email: str | None = None


class TrialEnded(CompanyEvent):
    """A company's trial is over, and no subscription followed."""

    type: ClassVar[str] = "scheduler.trial_ended.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "subscription_id")

    subscription_id: str
    trial_ended_at: datetime
    plan: str | None = None
    customer_name: str = ""
    customer_email: str | None = None


class NumberReleaseWarningDue(CompanyEvent):
    """A company without a subscription is about to lose a phone number."""

    type: ClassVar[str] = "scheduler.number_release_warning_due.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "number", "release_at")

    number: str
    release_at: datetime
    customer_name: str = ""
    customer_email: str | None = None


class FreeNumbersLow(Event):
    """There are few free phone numbers left of a prefix."""

    type: ClassVar[str] = "scheduler.free_numbers_low.v1"
    identity: ClassVar[tuple[str, ...]] = ("prefix", "due_on")

    prefix: str
    free_count: int
    threshold: int
    due_on: date

    @property
    def key(self) -> str:
        return "numbers"


class DailyReportDue(Event):
    """Time for the team's report of a day; a figure that nobody counted is not given."""

    type: ClassVar[str] = "scheduler.daily_report_due.v1"
    identity: ClassVar[tuple[str, ...]] = ("report_on",)

    # The day in Paris that is reported on.
    report_on: date
    companies_registered: int | None = None
    subscriptions_started: int | None = None
    subscriptions_canceled: int | None = None
    invoices_unpaid: int | None = None
    unpaid_cents: int | None = None
    lines_restricted: int | None = None
    lines_cut: int | None = None
    events_set_aside: int | None = None
    currency: str = "eur"

    @property
    def key(self) -> str:
        return "report"


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


class RoutineRan(Event):
    """A routine's run has ended; unless the next one is heard of by `expected_by`, somebody must look.

    A routine of every few seconds does not tell each of its runs. A run that failed is told with the moment
    until when it should have succeeded.
    """

    type: ClassVar[str] = "scheduler.routine_ran.v1"
    identity: ClassVar[tuple[str, ...]] = ("routine", "due_at", "finished_at")

    routine: str
    due_at: datetime
    # schedule, manual or backfill.
    trigger: str
    # done or failed.
    outcome: str
    finished_at: datetime
    told: int
    skipped: int
    expected_by: datetime

    @property
    def key(self) -> str:
        return f"routine:{self.routine}"


class RoutineWatched(Event):
    """A routine was switched on or off, paused or resumed: until when its next run must be heard of."""

    type: ClassVar[str] = "scheduler.routine_watched.v1"
    identity: ClassVar[tuple[str, ...]] = ("routine", "at", "why")

    routine: str
    at: datetime
    expected_by: datetime | None = None
    # on, off, paused or resumed; then who asked for it, and in which words.
    why: str
    by: str | None = None
    said: str | None = None

    @property
    def key(self) -> str:
        return f"routine:{self.routine}"


class CardCheckDue(Event):
    """Time to look whose card expires soon."""

    type: ClassVar[str] = "scheduler.card_check_due.v1"
    identity: ClassVar[tuple[str, ...]] = ("due_on",)

    # A day of Paris.
    due_on: date

    @property
    def key(self) -> str:
        return "cards"
