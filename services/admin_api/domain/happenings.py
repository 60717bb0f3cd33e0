"""What a fact says of a company, in a French sentence without personal data."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from libs.common.events import CompanyEvent
from libs.common.events.billing import (
    DisputeClosed,
    DisputeOpened,
    InvoiceClosed,
    InvoicePaid,
    InvoiceUnpaid,
    LineCut,
    LineRestored,
    LineRestricted,
    LineStateConfirmed,
    MethodTried,
    PaymentActionRequired,
    PaymentMethodExpiring,
    PaymentRecovered,
    PaymentRefunded,
    SubscriptionCanceled,
    SubscriptionChanged,
    SubscriptionStarted,
    TrialStarted,
)
from libs.common.events.notifications import RecipientResubscribed, RecipientUnsubscribed
from libs.common.events.scheduler import (
    CutoffWarningDue,
    NumberReleaseWarningDue,
    SignupStepDue,
    TrialEnded,
    TrialEndingSoon,
    UnpaidReminderDue,
)
from libs.common.signup_steps import SIGNUP_STEPS_BY_NAME

PARIS = ZoneInfo("Europe/Paris")
SYMBOLS = {"eur": "€", "usd": "$", "gbp": "£", "chf": "CHF", "cad": "$CA"}

KEPT: tuple[type[CompanyEvent], ...] = (
    SubscriptionStarted, TrialStarted, SubscriptionChanged, SubscriptionCanceled,
    InvoicePaid, PaymentRecovered, PaymentActionRequired, InvoiceUnpaid, InvoiceClosed,
    PaymentMethodExpiring, PaymentRefunded, DisputeOpened, DisputeClosed,
    LineRestricted, LineCut, LineRestored, LineStateConfirmed,
    SignupStepDue, UnpaidReminderDue, CutoffWarningDue, TrialEndingSoon, TrialEnded,
    NumberReleaseWarningDue, RecipientUnsubscribed, RecipientResubscribed,
)  # fmt: skip
"""The facts that a company's history shows. What the directory tells is in its own tables and in the audit,
deliveries are in theirs."""


def said_of(event: CompanyEvent) -> str:
    """Empty where the fact's name says it all."""
    match event:
        case InvoicePaid() | PaymentActionRequired():
            return f"facture {event.number or event.invoice_id}, {amount(event.amount_cents, event.currency)}"
        case PaymentRecovered():
            failed = f" ; avant : {methods(event.failed)}" if event.failed else ""
            paid = amount(event.amount_cents, event.currency)
            return f"facture {event.number or event.invoice_id}, {paid}, par {event.paid_with.label}{failed}"
        case InvoiceUnpaid():
            due = amount(event.total_due_cents, event.currency)
            tried = f" ; essayés : {methods(event.attempts)}" if event.attempts else ""
            return f"facture {event.invoice_id}, dû en tout {due}, délai au {day(event.deadline_at)}{tried}"
        case InvoiceClosed():
            return f"facture {event.invoice_id} : {event.reason}"
        case PaymentRefunded():
            return amount(event.refunded_cents, event.currency)
        case DisputeOpened():
            why = f" : {event.reason}" if event.reason else ""
            return f"{amount(event.amount_cents, event.currency)}{why}"
        case DisputeClosed():
            return event.outcome
        case PaymentMethodExpiring():
            return f"{event.label}, jusqu’au {event.expires_on:%d-%m-%Y}"
        case _:
            return _of_lines(event) or _of_subscriptions(event) or _of_the_clock(event)


def _of_lines(event: CompanyEvent) -> str:
    match event:
        case LineRestricted() | LineCut() | LineRestored():
            return f"{event.why} (épisode {event.episode}, politique {event.policy_version})"
        case LineStateConfirmed():
            return f"{event.wanted} : {'fait' if event.is_done else 'refusé'}, {event.answer}"
        case _:
            return ""


def _of_subscriptions(event: CompanyEvent) -> str:
    match event:
        case SubscriptionStarted():
            return event.plan or ""
        case TrialStarted():
            return f"{event.plan or 'essai'}, jusqu’au {day(event.trial_ends_at)}"
        case SubscriptionChanged():
            monthly = ""
            if event.monthly_cents is not None and event.currency:
                monthly = f", {amount(event.monthly_cents, event.currency)} par mois"
            before = f"{event.previous_status} → " if event.previous_status else ""
            return f"{before}{event.status}{monthly}"
        case SubscriptionCanceled():
            return event.reason or ""
        case _:
            return ""


def _of_the_clock(event: CompanyEvent) -> str:
    match event:
        case SignupStepDue():
            step = SIGNUP_STEPS_BY_NAME.get(event.step)
            return step.label if step is not None else event.step
        case UnpaidReminderDue():
            return f"niveau {event.stage}, depuis la facture {event.anchor_invoice_id}"
        case CutoffWarningDue():
            return f"coupure au plus tôt le {day(event.cutoff_at)}"
        case TrialEndingSoon():
            return f"dans {event.days} jour{'s' if event.days > 1 else ''}, le {day(event.trial_ends_at)}"
        case NumberReleaseWarningDue():
            return f"{event.number}, le {day(event.release_at)}"
        case RecipientUnsubscribed() | RecipientResubscribed():
            return f"{event.channel}, {event.category}"
        case _:
            return ""


def methods(tried: tuple[MethodTried, ...]) -> str:
    """« Visa •••• 4242 (do_not_honor), … », in the order in which they were asked."""
    return ", ".join(f"{each.label} ({each.decline_code or each.outcome})" for each in tried)


def amount(cents: int, currency: str) -> str:
    """« 1 012,90 € »; cents are in the currency's smallest unit."""
    whole, rest = divmod(abs(cents), 100)
    sign = "-" if cents < 0 else ""
    symbol = SYMBOLS.get(currency, currency.upper())
    return f"{sign}{whole:,}".replace(",", "\u202f") + f",{rest:02}\u00a0{symbol}"


def day(at: datetime) -> str:
    return f"{at.astimezone(PARIS):%d-%m-%Y}"
