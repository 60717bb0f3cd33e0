"""Troubles on demand: how webhooks travel, how slowly payments go, which requests fail."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from libs.devstack.stripe_simulator import errors
from libs.devstack.stripe_simulator.errors import ApiError
from libs.devstack.stripe_simulator.store import Record, Store

_RANDOM = random.SystemRandom()
_SHUFFLE_SECONDS = 0.25
"""How far a shuffle without a delay of its own spreads deliveries."""

EVERY_TYPE = "*"


@dataclass(frozen=True)
class DeliveryRule:
    """How the deliveries of an event travel: `copies` of each, at once, in random order, each up to
    `max_delay_seconds` late, the first `lose_first` tries of each never arriving; `lose_all`: none ever
    arrives and Stripe has given up, as after its three days of retries."""

    copies: int = 1
    shuffle: bool = False
    max_delay_seconds: float = 0.0
    lose_first: int = 0
    lose_all: bool = False

    def delay_seconds(self) -> float:
        longest = max(self.max_delay_seconds, _SHUFFLE_SECONDS if self.shuffle else 0.0)
        return _RANDOM.uniform(0.0, longest)


@dataclass(frozen=True)
class PaymentRule:
    """How `pay` behaves: seconds before the charge and after it (uniform between two bounds), and how
    many of the next answers get lost after the charge."""

    before_seconds: tuple[float, float] = (0.0, 0.0)
    after_seconds: tuple[float, float] = (0.0, 0.0)
    lose_answers: int = 0


class Chaos:
    """The troubles that are switched on; they survive a restart."""

    def __init__(self, store: Store) -> None:
        self._store = store
        found = store.find("_chaos", "chaos")
        self._row: Record = found or {
            "object": "_chaos",
            "id": "chaos",
            "deliveries": {},
            "payment": asdict(PaymentRule()),
            "latency_seconds": 0.0,
            "failures": [],
        }

    def set_deliveries(self, event_type: str, rule: DeliveryRule) -> None:
        self._row["deliveries"][event_type] = asdict(rule)
        self._store.put(self._row)

    def set_payment(self, rule: PaymentRule) -> None:
        self._row["payment"] = asdict(rule)
        self._store.put(self._row)

    def set_latency(self, seconds: float) -> None:
        """Every request of the API is answered so much later."""
        self._row["latency_seconds"] = seconds
        self._store.put(self._row)

    def add_failures(
        self, *, status: int, count: int, path: str, after_effect: bool, retry_after_seconds: float | None
    ) -> None:
        """Let the next `count` requests whose path contains `path` fail, before or after their effect.

        `status` 0: no answer ever comes.
        """
        self._row["failures"].append(
            {
                "status": status,
                "left": count,
                "path": path,
                "after_effect": after_effect,
                "retry_after_seconds": retry_after_seconds,
            }
        )
        self._store.put(self._row)

    def clear(self) -> None:
        self._row.update(deliveries={}, payment=asdict(PaymentRule()), failures=[], latency_seconds=0.0)
        self._store.put(self._row)

    def rule_for(self, event_type: str) -> DeliveryRule:
        rules: Mapping[str, Any] = self._row["deliveries"]
        chosen = rules.get(event_type) or rules.get(EVERY_TYPE)
        return DeliveryRule(**chosen) if chosen else DeliveryRule()

    def failure_for(self, path: str, *, after_effect: bool) -> ApiError | None:
        """The failure that is due for a request, used up by asking."""
        failure = self._use_up(path, after_effect=after_effect, is_silence=False)
        if failure is None:
            return None
        if failure["status"] == 429:  # noqa: PLR2004
            return errors.rate_limited(failure["retry_after_seconds"])
        return errors.server_error(failure["status"])

    def is_silent(self, path: str, *, after_effect: bool) -> bool:
        """Whether a request is to get no answer, ever; used up by asking."""
        return self._use_up(path, after_effect=after_effect, is_silence=True) is not None

    def _use_up(self, path: str, *, after_effect: bool, is_silence: bool) -> Record | None:
        failure: Record
        for failure in self._row["failures"]:
            is_meant = failure["after_effect"] == after_effect and failure["path"] in path
            if is_meant and (failure["status"] == 0) == is_silence:
                failure["left"] -= 1
                if failure["left"] <= 0:
                    self._row["failures"].remove(failure)
                self._store.put(self._row)
                return failure
        return None

    async def before_answer(self) -> None:
        if seconds := self._row.get("latency_seconds", 0.0):
            await asyncio.sleep(seconds)

    async def before_charge(self) -> None:
        await asyncio.sleep(_RANDOM.uniform(*self._row["payment"]["before_seconds"]))

    async def after_charge(self) -> bool:
        """Wait as told; true when the answer is to be lost."""
        rule = self._row["payment"]
        is_lost = bool(rule["lose_answers"] > 0)
        if is_lost:
            rule["lose_answers"] -= 1
            self._store.put(self._row)
        await asyncio.sleep(_RANDOM.uniform(*rule["after_seconds"]))
        return is_lost

    def settings(self) -> Record:
        names = ("deliveries", "payment", "failures", "latency_seconds")
        return {name: self._row.get(name) for name in names}
