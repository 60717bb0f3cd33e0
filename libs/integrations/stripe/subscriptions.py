"""Subscriptions and what moves money back, as plain values, read from either API shape.

Since Basil a subscription's current period is on its items, and a charge no longer names its invoice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from libs.common.errors import PermanentFailure
from libs.integrations.stripe.fields import JsonObject, id_of, maybe_moment, moment

ENDED = frozenset({"canceled", "incomplete_expired"})
"""Statuses that Stripe never leaves again."""

_MONTHS_OF = {"month": Fraction(1), "year": Fraction(12), "week": Fraction(12, 52), "day": Fraction(12, 365)}
_WRONG_SHAPE = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Subscription:
    """`status` is Stripe's, or `paused` while collection is; `monthly_cents` what a month of it costs."""

    id: str
    customer_id: str
    status: str
    plan_id: str | None
    plan: str | None
    monthly_cents: int | None
    currency: str | None
    started_at: datetime
    trial_ends_at: datetime | None
    period_ends_at: datetime | None
    ends_at: datetime | None
    ended_at: datetime | None
    cancel_reason: str | None
    default_payment_method_id: str | None = None

    @property
    def is_ended(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class Refund:
    """A charge of which money went back."""

    charge_id: str
    customer_id: str
    amount: int
    refunded: int
    currency: str


@dataclass(frozen=True, slots=True)
class Dispute:
    """Stripe does not say whose charge it was: the charge does."""

    id: str
    charge_id: str
    amount: int
    currency: str
    reason: str | None
    status: str
    created_at: datetime


def read_subscription(thing: JsonObject) -> Subscription:
    """Raises PermanentFailure, naming the field, when it is not a subscription."""
    try:
        items = (thing.get("items") or {}).get("data") or []
        price = _price(items[0]) if items else {}
        ended_at = maybe_moment(thing.get("ended_at"))
        ends_at = maybe_moment(thing.get("cancel_at"))
        period_ends_at = maybe_moment(thing.get("current_period_end") or _period_end(items))
        if ends_at is None and thing.get("cancel_at_period_end"):
            ends_at = period_ends_at
        is_held = thing["status"] == "active" and thing.get("pause_collection")
        return Subscription(
            id=thing["id"],
            customer_id=_required_id(thing, "customer"),
            status="paused" if is_held else thing["status"],
            plan_id=price.get("id"),
            plan=price.get("nickname") or _product_name(price),
            monthly_cents=_monthly_cents(items),
            currency=price.get("currency") or thing.get("currency"),
            started_at=moment(thing.get("start_date") or thing["created"]),
            trial_ends_at=maybe_moment(thing.get("trial_end")),
            period_ends_at=period_ends_at,
            ends_at=ends_at,
            ended_at=ended_at or maybe_moment(thing.get("canceled_at")),
            cancel_reason=(thing.get("cancellation_details") or {}).get("reason"),
            default_payment_method_id=id_of(thing.get("default_payment_method")),
        )
    except _WRONG_SHAPE as error:
        raise PermanentFailure(f"not a Stripe subscription: {type(error).__name__} at {error}") from error


def _required_id(thing: JsonObject, name: str) -> str:
    found = id_of(thing.get(name))
    if found is None:
        raise KeyError(name)
    return found


def _price(item: JsonObject) -> JsonObject:
    return item.get("price") or item.get("plan") or {}


def _product_name(price: JsonObject) -> str | None:
    product = price.get("product")
    return product.get("name") if isinstance(product, dict) else product


def _period_end(items: list[JsonObject]) -> int | None:
    ends = [item["current_period_end"] for item in items if item.get("current_period_end")]
    return max(ends) if ends else None


def _monthly_cents(items: list[JsonObject]) -> int | None:
    """None when an item has no amount of its own (metered or tiered)."""
    total = Fraction(0)
    for item in items:
        price = _price(item)
        amount = price.get("unit_amount", price.get("amount"))
        recurring = price.get("recurring") or price
        months = _MONTHS_OF.get(recurring.get("interval") or "")
        if amount is None or months is None:
            return None
        total += Fraction(amount * (item.get("quantity") or 1)) / (
            months * (recurring.get("interval_count") or 1)
        )
    return round(total)


def read_refund(thing: JsonObject) -> Refund | None:
    """From a charge; None for one without a customer. Raises PermanentFailure for what is no charge."""
    try:
        customer_id = id_of(thing.get("customer"))
        if customer_id is None:
            return None
        return Refund(
            charge_id=thing["id"],
            customer_id=customer_id,
            amount=thing["amount"],
            refunded=thing["amount_refunded"],
            currency=thing["currency"],
        )
    except _WRONG_SHAPE as error:
        raise PermanentFailure(f"not a Stripe charge: {type(error).__name__} at {error}") from error


def read_dispute(thing: JsonObject) -> Dispute:
    """Raises PermanentFailure, naming the field, when it is not a dispute."""
    try:
        return Dispute(
            id=thing["id"],
            charge_id=_required_id(thing, "charge"),
            amount=thing["amount"],
            currency=thing["currency"],
            reason=thing.get("reason"),
            status=thing["status"],
            created_at=moment(thing["created"]),
        )
    except _WRONG_SHAPE as error:
        raise PermanentFailure(f"not a Stripe dispute: {type(error).__name__} at {error}") from error
