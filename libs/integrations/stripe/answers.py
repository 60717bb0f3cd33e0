"""What Stripe's answers mean: an error as ours, and what became of a try to collect."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import stripe

from libs.common.errors import PermanentFailure, RelanceError, TemporaryFailure, UnknownOutcome
from libs.integrations.stripe.objects import Invoice

TOO_MANY_REQUESTS = 429
CONFLICT = 409
SERVER_ERROR = 500
UNEXPECTED_STATE = "payment_intent_unexpected_state"
NEEDS_CUSTOMER = ("authentication_required", "invoice_payment_intent_requires_action")
KEY_REFUSED_SECONDS = 30.0
LONGEST_WISH_SECONDS = 300.0
"""A `Retry-After` beyond this is some proxy's mistake, and nothing would be collected meanwhile."""


class ChargeOutcome(StrEnum):
    """What became of one try to collect an invoice with one payment method."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    PROCESSING = "processing"
    ALREADY_PAID = "already_paid"
    NOT_OPEN = "not_open"


@dataclass(frozen=True, slots=True)
class Charge:
    """`invoice` is as Stripe answered it, where it did."""

    outcome: ChargeOutcome
    decline_code: str | None = None
    invoice: Invoice | None = None

    @property
    def is_unclear(self) -> bool:
        """Stripe did not try: the payment is in a state in which it cannot, such as `processing`."""
        return self.decline_code == UNEXPECTED_STATE

    @property
    def is_elsewhere(self) -> bool:
        """Another payment of the invoice is under way, and this method was not charged."""
        return self.is_unclear and self.outcome is ChargeOutcome.PROCESSING


class ServerFailure(UnknownOutcome):
    """Stripe answered 5xx: it replays that answer for the same key, so only the charges tell the truth.

    `is_final`: Stripe says that asking again is useless.
    """

    def __init__(self, message: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.is_final = is_final


class ThrottledError(TemporaryFailure):
    """Too many requests, by Stripe's measure of the whole account."""


class KeyRefusedError(TemporaryFailure):
    """Stripe does not let us in: every call fails until somebody sets another key."""


class Refused(PermanentFailure):
    """A 4xx that says something about the try itself."""

    def __init__(self, error: stripe.StripeError) -> None:
        super().__init__(f"Stripe refused: {error}")
        body = error.json_body if isinstance(error.json_body, dict) else {}
        details = body.get("error") or {}
        self.code: str | None = details.get("code") or error.code
        self.decline_code: str | None = details.get("decline_code")


def failure_of(error: stripe.StripeError) -> RelanceError:
    status = error.http_status or 0
    if isinstance(error, stripe.APIConnectionError) or status == 0:
        return UnknownOutcome(f"no answer from Stripe: {error}")
    if status >= SERVER_ERROR:
        return ServerFailure(f"Stripe answered {status}: {error}", is_final=_should_retry(error) is False)
    if status in (401, 403):
        return KeyRefusedError(
            f"Stripe refuses our key, see STRIPE_SK: {error}", retry_after_seconds=KEY_REFUSED_SECONDS
        )
    if status == TOO_MANY_REQUESTS and error.code != "lock_timeout":
        return ThrottledError(f"Stripe asks to wait: {error}", retry_after_seconds=_retry_after(error))
    # Somebody else holds the object, or our own first call with this key is still running: whatever the
    # header says, that is no answer about the payment.
    is_busy = status in (TOO_MANY_REQUESTS, CONFLICT) or error.code == "lock_timeout"
    if is_busy or _should_retry(error):
        return TemporaryFailure(f"Stripe asks to wait: {error}", retry_after_seconds=_retry_after(error))
    return Refused(error)


def is_trouble(failure: RelanceError) -> bool:
    """Whether a failure says that Stripe itself is unwell, not that one object or one request is."""
    return isinstance(failure, UnknownOutcome | ThrottledError | KeyRefusedError)


def _should_retry(error: stripe.StripeError) -> bool | None:
    """`Stripe-Should-Retry`; None where Stripe does not say."""
    value = (error.headers or {}).get("stripe-should-retry")
    return None if value is None else value == "true"


def _retry_after(error: stripe.StripeError) -> float | None:
    value = (error.headers or {}).get("retry-after")
    if not value or not value.replace(".", "", 1).isdecimal():
        return None
    return min(float(value), LONGEST_WISH_SECONDS)


def charge_of(refused: Refused) -> Charge:
    if refused.code == "invoice_already_paid" or "already paid" in str(refused).lower():
        return Charge(ChargeOutcome.ALREADY_PAID)
    decline_code = refused.decline_code or refused.code
    if refused.code in NEEDS_CUSTOMER:
        return Charge(ChargeOutcome.ACTION_REQUIRED, decline_code)
    if refused.code in ("invoice_not_editable", "invoice_not_open", "invoice_payment_not_allowed"):
        return Charge(ChargeOutcome.NOT_OPEN, decline_code)
    # Whatever else Stripe says about this method (expired, detached, not usable): it did not pay.
    return refusal(decline_code)


def refusal(decline_code: str | None, *, invoice: Invoice | None = None) -> Charge:
    """A method that did not pay, and whether the customer could make it."""
    needs_customer = decline_code in NEEDS_CUSTOMER
    outcome = ChargeOutcome.ACTION_REQUIRED if needs_customer else ChargeOutcome.DECLINED
    return Charge(outcome, decline_code, invoice)


def charge_of_invoice(invoice: Invoice) -> Charge:
    if invoice.status == "paid":
        return Charge(ChargeOutcome.SUCCEEDED, invoice=invoice)
    if invoice.status == "open":
        # A debit takes days: the invoice stays open while the payment is under way.
        return Charge(ChargeOutcome.PROCESSING, invoice=invoice)
    return Charge(ChargeOutcome.NOT_OPEN, invoice=invoice)
