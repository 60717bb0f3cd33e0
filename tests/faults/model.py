"""What each customer of the mixed storm deserves: which tries, which facts, which mails.

An independent reading of the design (§4, §5) and of Stripe's rules, in plain values. It knows nothing of how
the services decide and imports none of their code; it is only told the policy's lists of decline codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

CYCLES = (1, 2)

# Stripe goes on counting attempts after these, but charges no more (docs.stripe.com, Smart Retries).
STRIPE_CHARGES_NO_MORE = frozenset(
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
NEEDS_CUSTOMER = "authentication_required"

Kind = Literal["pays", "declines", "needs_customer", "debit_pays", "debit_fails"]


@dataclass(frozen=True)
class Ending:
    """How a charge of a method ends; a debit ends two days after it began."""

    kind: Kind
    decline_code: str | None = None

    @property
    def is_debit(self) -> bool:
        return self.kind in ("debit_pays", "debit_fails")


@dataclass(frozen=True)
class Method:
    """A saved payment method: `identity` is the card or account itself, `endings` are one a cycle."""

    identity: str
    endings: tuple[Ending, ...]
    loses_answer: bool = False

    def ending(self, cycle: int) -> Ending:
        return self.endings[cycle - 1]


@dataclass(frozen=True)
class Rules:
    """Decline codes after which a card is not tried again: ever, or for longer than the storm lasts."""

    stop: frozenset[str]
    rest: frozenset[str]


@dataclass(frozen=True)
class Fact:
    """Of billing.events; `said` is what must be in it, methods by their number."""

    type: str
    cycle: int | None = None
    said: tuple[object, ...] = ()


@dataclass(frozen=True)
class Try:
    """One charge of a method in a cycle, by Stripe's own schedule or by Relance."""

    cycle: int
    method: int
    is_ours: bool


@dataclass
class Deserved:
    """Everything that one customer's invoice may have caused, no more and no less."""

    tries: Counter[Try] = field(default_factory=Counter)
    facts: Counter[Fact] = field(default_factory=Counter)
    mails: Counter[str] = field(default_factory=Counter)
    is_paid: bool = False


def deserved(methods: Sequence[Method], rules: Rules) -> Deserved:
    """`methods` as they were saved, the first of them the default; the invoice is attempted once a cycle by
    Stripe, and what can still be paid after that is Relance's to try."""
    life = _Life(methods, rules)
    for cycle in CYCLES:
        if not life.owes.is_paid:
            life.live_through(cycle)
    return life.owes


class _Life:
    def __init__(self, methods: Sequence[Method], rules: Rules) -> None:
        self.methods = methods
        self.rules = rules
        self.owes = Deserved()
        self.has_failed_before = False
        # As Stripe's payment intent names it.
        self.last_failed: int | None = None
        self.last_codes: dict[str, str] = {}

    def live_through(self, cycle: int) -> None:
        if self._is_charged_by_stripe():
            self._charge(cycle, 0, is_ours=False)
        if self.owes.is_paid:
            self._is_paid_by_stripe()
        else:
            self._try_all(cycle)
        self.has_failed_before = True

    def _is_charged_by_stripe(self) -> bool:
        if self.last_failed is None:
            return True
        return self.last_codes[self.methods[self.last_failed].identity] not in STRIPE_CHARGES_NO_MORE

    def _charge(self, cycle: int, number: int, *, is_ours: bool) -> str:
        """Once; answers with what became of it, in the end."""
        self.owes.tries[Try(cycle, number, is_ours)] += 1
        method = self.methods[number]
        ending = method.ending(cycle)
        if ending.kind in ("pays", "debit_pays"):
            self.owes.is_paid = True
            return "succeeded"
        self.last_failed = number
        self.last_codes[method.identity] = _code(ending)
        return "action_required" if ending.kind == "needs_customer" else "declined"

    def _is_paid_by_stripe(self) -> None:
        """A receipt; where the customer had been told that he owes, that is over."""
        self._tell(Fact("invoice_paid", said=("not recovered",)), "payment_receipt")
        if self.has_failed_before:
            self._tell(Fact("invoice_closed", said=("paid",)))

    def _try_all(self, cycle: int) -> None:
        outcomes: dict[int, str] = {}
        just_failed = self.last_failed
        assert just_failed is not None, "Stripe's own attempt comes first"
        # Of the cards as they were when the cycle began.
        known_codes = dict(self.last_codes)
        for number in self._in_order():
            why_not = self._why_not(number, just_failed, outcomes, known_codes)
            outcomes[number] = why_not or self._charge(cycle, number, is_ours=True)
            if self.owes.is_paid:
                self._is_recovered(cycle, number, outcomes, just_failed)
                return
        self._is_unpaid(cycle, outcomes, just_failed)

    def _in_order(self) -> Iterator[int]:
        """The default one, then the newest first."""
        yield 0
        yield from range(len(self.methods) - 1, 0, -1)

    def _why_not(
        self, number: int, just_failed: int, outcomes: dict[int, str], known_codes: dict[str, str]
    ) -> str | None:
        identity = self.methods[number].identity
        if identity == self.methods[just_failed].identity:
            return "just_failed"
        was_tried = {self.methods[n].identity for n, outcome in outcomes.items() if outcome in _TRIED}
        if identity in was_tried:
            return "same_card"
        code = known_codes.get(identity)
        if code in self.rules.stop:
            return "last_decline_is_final"
        return "cooling_down" if code in self.rules.rest else None

    def _is_recovered(self, cycle: int, paying: int, outcomes: dict[int, str], just_failed: int) -> None:
        failed = {n for n, outcome in outcomes.items() if outcome in ("declined", "action_required")}
        alike = {n for n, m in enumerate(self.methods) if m.identity == self.methods[just_failed].identity}
        self._tell(Fact("invoice_paid", said=("recovered",)))
        recovered = Fact("payment_recovered", cycle, (paying, tuple(sorted(failed | alike))))
        self._tell(recovered, "payment_recovered")
        self._tell(Fact("invoice_closed", said=("paid",)))

    def _is_unpaid(self, cycle: int, outcomes: dict[int, str], just_failed: int) -> None:
        tried = [n for n, outcome in outcomes.items() if outcome in _TRIED]
        codes = {self.last_codes[self.methods[n].identity] for n in (*tried, just_failed)}
        if NEEDS_CUSTOMER in codes:
            # Each asks to confirm an attempt of its own.
            self._tell(Fact("payment_action_required", cycle), "payment_action_required")
            return
        is_written_about = self.owes.mails["unpaid"] > 0  # once a billing cycle, the stage does not rise
        said = tuple(sorted(outcomes.items()))
        self._tell(Fact("invoice_unpaid", cycle, said), None if is_written_about else "unpaid")

    def _tell(self, fact: Fact, mail: str | None = None) -> None:
        self.owes.facts[fact] += 1
        if mail is not None:
            self.owes.mails[mail] += 1


_TRIED = ("succeeded", "declined", "action_required")


def _code(ending: Ending) -> str:
    if ending.kind == "needs_customer":
        return NEEDS_CUSTOMER
    assert ending.decline_code is not None, "a decline has a code"
    return ending.decline_code
