"""Who is in the mixed storm: customers with one to six saved methods, drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from uuid import UUID

from tests.faults.model import CYCLES, Ending, Method

MOST_METHODS = 6
ONE_IN_LOSES_ITS_ANSWER = 4
ONE_IN_CHANGES = 6

SOFT = ("generic_decline", "insufficient_funds", "do_not_honor", "expired_card")
FINAL = ("lost_card", "stolen_card", "pickup_card", "transaction_not_allowed")
RESTING = "previously_declined_do_not_retry"
DEBIT_CODE = "insufficient_funds"

# Documented numbers: the same card each time it is saved, by whomever. None of them declines for good, so
# that no customer's card depends on what another's did before.
NUMBERS = {"4000000000000002": "generic_decline", "4000000000009995": "insufficient_funds"}

# In percent.
DEFAULTS = {"soft": 46, "final": 10, "asks": 14, "pays": 6, "debit_fails": 12, "debit_pays": 4, "number": 8}
OTHERS = {"soft": 34, "final": 9, "rests": 6, "asks": 12, "pays": 13, "debit_fails": 12, "debit_pays": 4,
          "number": 10}  # fmt: skip


@dataclass(frozen=True)
class Person:
    """A customer; `methods` as they are saved, the first of them the default one."""

    number: int
    email: str
    company_id: UUID
    methods: tuple[Method, ...]

    def words(self) -> list[str]:
        """What the simulator is told to save."""
        return [_word(method, 1) for method in self.methods]

    def changes(self) -> list[tuple[int, str]]:
        """Methods, by their number, that behave otherwise in the second cycle, and how."""
        return [
            (number, _word(method, 2))
            for number, method in enumerate(self.methods)
            if not method.ending(1).is_debit and method.ending(1) != method.ending(2)
        ]


def draw(seed: int, customers: int) -> list[Person]:
    """The same people for the same seed."""
    return [_person(Random(f"{seed}:{number}"), seed, number) for number in range(customers)]


def _person(random: Random, seed: int, number: int) -> Person:
    methods: list[Method] = []
    for place in range(random.randint(1, MOST_METHODS)):
        # One debit a customer: a second one would need two more days, and Stripe's next attempt comes in one.
        has_debit = any(method.ending(1).is_debit for method in methods)
        methods.append(_method(random, f"{number}.{place}", is_default=place == 0, has_debit=has_debit))
    company_id = UUID(int=random.getrandbits(128), version=4)
    return Person(number, f"c{number}@s{seed}.example", company_id, tuple(methods))


def _method(random: Random, name: str, *, is_default: bool, has_debit: bool) -> Method:
    weights = {
        kind: weight
        for kind, weight in (DEFAULTS if is_default else OTHERS).items()
        if not (has_debit and kind.startswith("debit"))
    }
    [kind] = random.choices(list(weights), list(weights.values()))
    if kind == "number":
        number = random.choice(list(NUMBERS))
        ending = Ending("declines", NUMBERS[number])
        return Method(number, (ending,) * len(CYCLES))
    first = _ending(random, kind)
    second = _changed(random, first) if random.randrange(ONE_IN_CHANGES) == 0 else first
    return Method(name, (first, second), loses_answer=random.randrange(ONE_IN_LOSES_ITS_ANSWER) == 0)


def _ending(random: Random, kind: str) -> Ending:
    match kind:
        case "soft":
            return Ending("declines", random.choice(SOFT))
        case "final":
            return Ending("declines", random.choice(FINAL))
        case "rests":
            return Ending("declines", RESTING)
        case "asks":
            return Ending("needs_customer")
        case "debit_fails":
            return Ending("debit_fails", DEBIT_CODE)
        case "debit_pays":
            return Ending("debit_pays")
        case _:
            return Ending("pays")


def _changed(random: Random, first: Ending) -> Ending:
    """A month is long: a card is filled again, or blocked."""
    if first.is_debit:
        return _ending(random, "debit_pays" if first.kind == "debit_fails" else "debit_fails")
    return _ending(random, random.choice(["pays", "soft", "asks"]))


def _word(method: Method, cycle: int) -> str:
    if method.identity in NUMBERS:
        return method.identity
    return (
        ("lost_" if method.loses_answer else "") + _BY_KIND[method.ending(cycle).kind] + _code(method, cycle)
    )


def _code(method: Method, cycle: int) -> str:
    ending = method.ending(cycle)
    return f"_{ending.decline_code}" if ending.kind == "declines" else ""


_BY_KIND = {
    "pays": "pay",
    "declines": "decline",
    "needs_customer": "3ds",
    "debit_pays": "processing",
    "debit_fails": "processing",
}


def describe(methods: Sequence[Method]) -> str:
    """For a failure's message."""
    return " | ".join(
        f"{'lost ' if m.loses_answer else ''}"
        + " then ".join(dict.fromkeys(f"{e.kind} {e.decline_code or ''}".strip() for e in m.endings))
        + (f" ({m.identity})" if m.identity in NUMBERS else "")
        for m in methods
    )
