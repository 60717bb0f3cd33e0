"""Test cards: what a token, a number or an IBAN stands for, and how it behaves when it is charged."""

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Literal

Outcome = Literal["pay", "decline", "authenticate", "process"]

HARD_DECLINES = frozenset(
    {
        "incorrect_number",
        "lost_card",
        "pickup_card",
        "stolen_card",
        "revocation_of_authorization",
        "revocation_of_all_authorizations",
        "authentication_required",
        "highest_risk_level",
        "transaction_not_allowed",
    }
)
"""After these Stripe's own schedule goes on counting, but charges no more."""

_CODES_OF_THEIR_OWN = frozenset(
    {"expired_card", "incorrect_cvc", "incorrect_number", "processing_error", "authentication_required"}
)

_MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "incorrect_number": "Your card number is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}


@dataclass(frozen=True)
class Behaviour:
    """What happens when a payment method is charged; `decline_code` is set for a decline only.

    `loses_answer`: the first answer to each `pay` with it is lost on the way, after the charge.
    """

    outcome: Outcome
    decline_code: str | None = None
    loses_answer: bool = False


@dataclass(frozen=True)
class TestCard:
    """A card or account to make a payment method of."""

    number: str
    brand: str
    behaviour: Behaviour
    kind: Literal["card", "sepa_debit"] = "card"

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.number.encode()).hexdigest()[:16]


PAY = Behaviour("pay")
AUTHENTICATE = Behaviour("authenticate", "authentication_required")
PROCESS = Behaviour("process")


def _declines(code: str) -> Behaviour:
    return Behaviour("decline", code)


_BY_NUMBER: dict[str, tuple[str, Behaviour]] = {
    "4242424242424242": ("visa", PAY),
    "4000056655665556": ("visa", PAY),
    "4000002500000003": ("visa", PAY),
    "5555555555554444": ("mastercard", PAY),
    "5200828282828210": ("mastercard", PAY),
    "378282246310005": ("amex", PAY),
    "4000000000000002": ("visa", _declines("generic_decline")),
    "4000000000000341": ("visa", _declines("generic_decline")),
    "4000000000009995": ("visa", _declines("insufficient_funds")),
    "4000000000009987": ("visa", _declines("lost_card")),
    "4000000000009979": ("visa", _declines("stolen_card")),
    "4000000000000069": ("visa", _declines("expired_card")),
    "4000000000000127": ("visa", _declines("incorrect_cvc")),
    "4000000000000119": ("visa", _declines("processing_error")),
    "4242424242424241": ("visa", _declines("incorrect_number")),
    "4000000000006975": ("visa", _declines("card_velocity_exceeded")),
    "4100000000000019": ("visa", _declines("fraudulent")),
    "4000002760003184": ("visa", AUTHENTICATE),
    "4000002500003155": ("visa", AUTHENTICATE),
    "4000008260003178": ("visa", _declines("insufficient_funds")),
}

_NUMBER_BY_TOKEN = {
    "visa": "4242424242424242",
    "visa_debit": "4000056655665556",
    "fr": "4000002500000003",
    "mastercard": "5555555555554444",
    "mastercard_debit": "5200828282828210",
    "amex": "378282246310005",
    "chargeDeclined": "4000000000000002",
    "visa_chargeDeclined": "4000000000000002",
    "chargeCustomerFail": "4000000000000341",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeDeclinedLostCard": "4000000000009987",
    "visa_chargeDeclinedLostCard": "4000000000009987",
    "chargeDeclinedStolenCard": "4000000000009979",
    "visa_chargeDeclinedStolenCard": "4000000000009979",
    "chargeDeclinedExpiredCard": "4000000000000069",
    "chargeDeclinedIncorrectCvc": "4000000000000127",
    "chargeDeclinedProcessingError": "4000000000000119",
    "chargeDeclinedVelocityLimitExceeded": "4000000000006975",
    "visa_chargeDeclinedVelocityLimitExceeded": "4000000000006975",
    "chargeDeclinedFraudulent": "4100000000000019",
    "authenticationRequired": "4000002760003184",
    "threeDSecure2Required": "4000002760003184",
    "threeDSecureRequired": "4000002760003184",
    "authenticationRequiredOnSetup": "4000002500003155",
}

_SIMULATED = {"pay": PAY, "3ds": AUTHENTICATE, "processing": PROCESS, "decline": _declines("generic_decline")}


def behaviour_named(name: str) -> Behaviour:
    """`pay`, `3ds`, `processing`, `decline` or `decline_<decline_code>`; with `lost_` before it, the first
    answer to a `pay` is lost.

    Raises:
        ValueError: for any other name.
    """
    if name.startswith("lost_"):
        return replace(behaviour_named(name.removeprefix("lost_")), loses_answer=True)
    if name in _SIMULATED:
        return _SIMULATED[name]
    if name.startswith("decline_"):
        return _declines(name.removeprefix("decline_"))
    raise ValueError(f"{name!r} is no behaviour: pay, 3ds, processing, decline or decline_<decline_code>")


def card_for_token(token: str) -> TestCard | None:
    """The card behind `pm_card_…`, `tok_…` or `pm_sim_…`; None for anything else.

    The simulator's own `pm_sim_…` make another card at each call: another number, another fingerprint.
    """
    if token.startswith("pm_sim_"):
        return simulated_card(behaviour_named(token.removeprefix("pm_sim_")))
    for prefix in ("pm_card_", "tok_"):
        number = _NUMBER_BY_TOKEN.get(token.removeprefix(prefix))
        if token.startswith(prefix) and number:
            return card_for_number(number)
    return None


def simulated_card(behaviour: Behaviour) -> TestCard:
    digits = f"{secrets.randbelow(10**12):012d}"
    if behaviour.outcome == "process":
        return TestCard(f"FR76{digits}", "", behaviour, kind="sepa_debit")
    return TestCard(f"4999{digits}", "visa", behaviour)


def card_for_number(number: str) -> TestCard:
    """Stripe's test numbers behave as documented; any other number pays."""
    brand, behaviour = _BY_NUMBER.get(number.replace(" ", ""), ("visa", PAY))
    return TestCard(number.replace(" ", ""), brand, behaviour)


def account_for_iban(iban: str) -> TestCard:
    """Every SEPA debit stays `processing` until the simulator is told how it ends."""
    return TestCard(iban.replace(" ", ""), "", PROCESS, kind="sepa_debit")


def code_of(decline_code: str) -> str:
    """The error's `code` beside a decline code: mostly `card_declined`."""
    return decline_code if decline_code in _CODES_OF_THEIR_OWN else "card_declined"


def message_of(decline_code: str) -> str:
    return _MESSAGES.get(decline_code, "Your card was declined.")
