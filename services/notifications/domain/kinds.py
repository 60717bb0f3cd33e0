"""The one table of what we write: fact, category, channels, template, expiry, stop conditions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from libs.common.events.billing import (
    DisputeClosed,
    InvoicePaid,
    InvoiceUnpaid,
    LineCut,
    LineRestored,
    LineRestricted,
    PaymentActionRequired,
    PaymentMethodExpiring,
    PaymentRecovered,
    SubscriptionCanceled,
    SubscriptionChanged,
    SubscriptionStarted,
)
from libs.common.events.directory import NumberAssigned, NumberReleased
from libs.common.events.operations import EventSetAside
from libs.common.events.scheduler import (
    CutoffWarningDue,
    DailyReportDue,
    FreeNumbersLow,
    NumberReleaseWarningDue,
    SignupStepDue,
    TrialEnded,
    TrialEndingSoon,
    UnpaidReminderDue,
)
from libs.common.signup_steps import SIGNUP_STEPS
from services.notifications.domain.deliveries import Category, Channel, Why
from services.notifications.domain.kind import (
    Kind,
    has_no_open_invoice,
    has_subscription,
    is_canceled,
    is_closed,
    is_listed_elsewhere,
    is_noticed_recently,
    is_old_news,
    is_released,
    is_subscribed,
    owes_nothing,
)

BOTH = (Channel.MAIL, Channel.SMS)

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
    "cutoff_warning": Kind(
        fact=CutoffWarningDue,
        category=Category.LEGAL,
        template="cutoff_warning",
        expires_after=timedelta(days=2),  # the fact says when the cut may come, which counts
        channels=BOTH,
        stops=((owes_nothing, Why.PAID),),
        lists_invoices=True,
    ),
    "subscription_started": Kind(
        fact=SubscriptionStarted,
        category=Category.TRANSACTIONAL,
        template="subscription_started",
        expires_after=timedelta(days=7),
        stops=((is_canceled, Why.CANCELED), (is_old_news, Why.OLD_NEWS)),
    ),
    "subscription_changed": Kind(
        fact=SubscriptionChanged,
        category=Category.TRANSACTIONAL,
        template="subscription_changed",
        expires_after=timedelta(days=7),
        stops=((is_canceled, Why.CANCELED), (is_old_news, Why.OLD_NEWS)),
    ),
    "subscription_canceled": Kind(
        fact=SubscriptionCanceled,
        category=Category.TRANSACTIONAL,
        template="subscription_canceled",
        expires_after=timedelta(days=14),
        stops=((is_old_news, Why.OLD_NEWS),),
    ),
    "trial_ending_soon": Kind(
        fact=TrialEndingSoon,
        category=Category.TRANSACTIONAL,
        template="trial_ending_soon",
        expires_after=timedelta(days=1),  # or when the trial is over, if that is before
        stops=((has_subscription, Why.SUBSCRIBED), (is_canceled, Why.CANCELED)),
    ),
    "trial_ended": Kind(
        fact=TrialEnded,
        category=Category.TRANSACTIONAL,
        template="trial_ended",
        expires_after=timedelta(days=3),
        # Who was told that the subscription ended needs not be told that its trial did.
        stops=((has_subscription, Why.SUBSCRIBED), (is_canceled, Why.CANCELED)),
    ),
    "number_assigned": Kind(
        fact=NumberAssigned,
        category=Category.TRANSACTIONAL,
        template="number_assigned",
        expires_after=timedelta(days=3),
        stops=((is_released, Why.RELEASED), (is_old_news, Why.OLD_NEWS)),
    ),
    "number_release_warning": Kind(
        fact=NumberReleaseWarningDue,
        category=Category.TRANSACTIONAL,
        template="number_release_warning",
        expires_after=timedelta(days=3),  # or when the number is released, if that is before
        stops=((has_subscription, Why.SUBSCRIBED), (is_released, Why.RELEASED)),
    ),
    "number_released": Kind(
        fact=NumberReleased,
        category=Category.TRANSACTIONAL,
        template="number_released",
        expires_after=timedelta(days=7),
        stops=((is_old_news, Why.OLD_NEWS),),
    ),
    **{
        step.name: Kind(
            fact=SignupStepDue,
            category=Category.MARKETING,
            template=step.name,
            expires_after=timedelta(days=2),  # the fact says its own, which counts
            stops=((is_subscribed, Why.SUBSCRIBED),),
        )
        for step in SIGNUP_STEPS
    },
    "free_numbers_low": Kind(
        fact=FreeNumbersLow,
        category=Category.INTERNAL,
        template="free_numbers_low",
        expires_after=timedelta(days=1),
    ),
    "daily_report": Kind(
        fact=DailyReportDue,
        category=Category.INTERNAL,
        template="daily_report",
        expires_after=timedelta(days=1),
    ),
    "dispute_closed": Kind(
        fact=DisputeClosed,
        category=Category.INTERNAL,
        template="dispute_closed",
        expires_after=timedelta(days=7),
        stops=((is_old_news, Why.OLD_NEWS),),
    ),
    "team_digest": Kind(
        fact=EventSetAside,  # among others: see domain/digests.py
        category=Category.INTERNAL,
        template="team_digest",
        expires_after=timedelta(days=2),
    ),
}
"""Every kind of message: the fact that makes it, its category, its channels, when it stops being wanted."""

NOTICES = ("unpaid", "unpaid_reminder", "cutoff_warning")
"""The kinds that ask for money, and by that warn of a cut."""

STOPPED_BY_PAYMENT = tuple(kind for kind, row in KINDS.items() if row.lists_invoices)
"""The kinds that nobody wants any more once everything is paid."""

INTERNAL = frozenset(kind for kind, row in KINDS.items() if row.category is Category.INTERNAL)
"""The kinds that are written to the team, whoever the fact is about."""

_OF_ACCOUNTS = frozenset({has_subscription, is_canceled, is_released})
ABOUT_ACCOUNTS = frozenset(
    kind for kind, row in KINDS.items() if any(stop in _OF_ACCOUNTS for stop, _ in row.stops)
)
"""The kinds that depend on what became of a subscription or a phone number."""
