"""Stripe's objects as plain values, read from either API shape: before Basil (2025-03-31) and since.

Since Basil an invoice has no `payment_intent`, `charge`, `paid`; its `subscription` moved below `parent`.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from libs.common.errors import PermanentFailure
from libs.integrations.stripe.fields import JsonObject, id_of, maybe_moment, moment


@dataclass(frozen=True, slots=True)
class Invoice:
    """Amounts in the currency's smallest unit; `status` is draft, open, paid, uncollectible or void."""

    id: str
    customer_id: str | None
    status: str
    subscription_id: str | None
    number: str | None
    currency: str
    amount_due: int
    amount_paid: int
    amount_remaining: int
    attempt_count: int
    period_start: datetime | None
    period_end: datetime | None
    created_at: datetime
    paid_at: datetime | None
    hosted_invoice_url: str | None
    customer_name: str | None
    customer_email: str | None
    default_payment_method_id: str | None

    @property
    def billing_cycle(self) -> str:
        """What the customer is written to about: the subscription's period, else the invoice itself."""
        if self.subscription_id is None or self.period_start is None:
            return self.id
        return f"{self.subscription_id}:{self.period_start:%Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class Customer:
    """`company` is the directory's id as Stripe's metadata holds it."""

    id: str
    name: str | None
    email: str | None
    company: str | None
    default_payment_method_id: str | None
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """`fingerprint` is the same for the same card or account, however often it was saved. `expires_on` is a
    card's last good day, None for what does not expire."""

    id: str
    type: str
    label: str
    fingerprint: str | None
    created_at: datetime
    customer_id: str | None = None
    expires_on: date | None = None


@dataclass(frozen=True, slots=True)
class LastFailure:
    """The payment method whose charge failed last, and why."""

    payment_method_id: str
    decline_code: str | None


@dataclass(frozen=True, slots=True)
class StripeEvent:
    """`idempotency_key` is that of the API call which caused the event; None when Stripe acted by itself."""

    id: str
    type: str
    created_at: datetime
    idempotency_key: str | None
    thing: JsonObject


def read_event(body: JsonObject) -> StripeEvent:
    """Raises PermanentFailure, naming the field, when it is not a Stripe event."""
    try:
        request = body.get("request")
        return StripeEvent(
            id=body["id"],
            type=body["type"],
            created_at=moment(body["created"]),
            idempotency_key=request.get("idempotency_key") if isinstance(request, dict) else None,
            thing=body["data"]["object"],
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise PermanentFailure(f"not a Stripe event: {type(error).__name__} at {error}") from error


def read_invoice(thing: JsonObject) -> Invoice:
    """Raises PermanentFailure, naming the field, when it is not an invoice."""
    try:
        period_start, period_end = _period(thing)
        return Invoice(
            id=thing["id"],
            customer_id=id_of(thing.get("customer")),
            status=thing.get("status") or "draft",
            subscription_id=_subscription_id(thing),
            number=thing.get("number"),
            currency=thing.get("currency") or "eur",
            amount_due=thing.get("amount_due") or 0,
            amount_paid=thing.get("amount_paid") or 0,
            amount_remaining=_amount_remaining(thing),
            attempt_count=thing.get("attempt_count") or 0,
            period_start=period_start,
            period_end=period_end,
            created_at=moment(thing["created"]),
            paid_at=maybe_moment((thing.get("status_transitions") or {}).get("paid_at")),
            hosted_invoice_url=thing.get("hosted_invoice_url"),
            customer_name=thing.get("customer_name"),
            customer_email=thing.get("customer_email"),
            default_payment_method_id=id_of(thing.get("default_payment_method")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise PermanentFailure(f"not a Stripe invoice: {type(error).__name__} at {error}") from error


def _amount_remaining(thing: JsonObject) -> int:
    remaining = thing.get("amount_remaining")
    if remaining is None:
        remaining = (thing.get("amount_due") or 0) - (thing.get("amount_paid") or 0)
    return int(remaining)


def _subscription_id(thing: JsonObject) -> str | None:
    if "subscription" in thing:
        return id_of(thing["subscription"])
    details = (thing.get("parent") or {}).get("subscription_details") or {}
    return id_of(details.get("subscription"))


def _period(thing: JsonObject) -> tuple[datetime | None, datetime | None]:
    """The subscription's period is on the lines; the invoice's own period is the one before it."""
    lines = (thing.get("lines") or {}).get("data") or []
    period = lines[0].get("period") if lines else None
    if not period:
        period = {"start": thing.get("period_start"), "end": thing.get("period_end")}
    return maybe_moment(period.get("start")), maybe_moment(period.get("end"))


def read_customer(thing: JsonObject) -> Customer:
    """Raises PermanentFailure, naming the field, when it is not a customer."""
    try:
        settings = thing.get("invoice_settings") or {}
        return Customer(
            id=thing["id"],
            name=thing.get("name"),
            email=thing.get("email"),
            company=(thing.get("metadata") or {}).get("company_id"),
            default_payment_method_id=id_of(settings.get("default_payment_method")),
            is_deleted=bool(thing.get("deleted")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise PermanentFailure(f"not a Stripe customer: {type(error).__name__} at {error}") from error


# As their owners write them; any other stands as Stripe says it. https://docs.stripe.com/api/payment_methods/object
_NAMES = {
    "visa": "Visa",
    "mastercard": "Mastercard",
    "amex": "American Express",
    "cartes_bancaires": "CB",
    "diners": "Diners Club",
    "discover": "Discover",
    "jcb": "JCB",
    "unionpay": "UnionPay",
    "link": "Link",
    "paypal": "PayPal",
    "sepa_debit": "Prélèvement SEPA",
}


def read_payment_method(thing: JsonObject) -> PaymentMethod:
    kind = thing.get("type") or "card"
    details = thing.get(kind) or {}
    brand = _NAMES.get(kind) or _NAMES.get(details.get("brand") or "") or details.get("brand") or kind
    return PaymentMethod(
        id=thing["id"],
        type=kind,
        label=f"{brand} •••• {details['last4']}" if details.get("last4") else str(brand),
        fingerprint=details.get("fingerprint"),
        created_at=moment(thing.get("created") or 0),
        customer_id=id_of(thing.get("customer")),
        expires_on=_last_day(details.get("exp_year"), details.get("exp_month")),
    )


def _last_day(year: Any, month: Any) -> date | None:
    """Of the month that is printed on the card; None for what is no month."""
    try:
        return date(year, month, monthrange(year, month)[1])
    except (TypeError, ValueError, OverflowError):
        return None


def payment_intents(payments: JsonObject) -> list[JsonObject]:
    """Those of a list of invoice payments, expanded, newest first."""
    found = [(row.get("payment") or {}).get("payment_intent") for row in payments.get("data") or []]
    return [intent for intent in found if isinstance(intent, dict)]


def last_failure_of(intents: list[JsonObject]) -> LastFailure | None:
    """Where Stripe tells."""
    for intent in intents:
        error = intent.get("last_payment_error") or {}
        method_id = id_of(error.get("payment_method"))
        if method_id:
            return LastFailure(method_id, error.get("decline_code") or error.get("code"))
    return None


def collecting_method_id(intents: list[JsonObject]) -> str | None:
    """The payment method that paid, or whose payment is still under way."""
    for intent in intents:
        method = id_of(intent.get("payment_method"))
        if intent.get("status") in ("succeeded", "processing", "requires_capture") and method:
            return method
    return None


def default_method_id(invoice: JsonObject) -> str | None:
    """The invoice's own, else its subscription's, else its customer's, as far as they are expanded."""
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    subscription, customer = details.get("subscription"), invoice.get("customer")
    settings = (customer.get("invoice_settings") or {}) if isinstance(customer, dict) else {}
    of_subscription = subscription.get("default_payment_method") if isinstance(subscription, dict) else None
    wanted = (invoice.get("default_payment_method"), of_subscription, settings.get("default_payment_method"))
    return next(filter(None, map(id_of, wanted)), None)
