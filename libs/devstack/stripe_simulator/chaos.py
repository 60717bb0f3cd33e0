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
    `max_delay_seconds` late, the first `lose_first` tries of each never arriving."""

    copies: int = 1
    shuffle: bool = False
    max_delay_seconds: float = 0.0
    lose_first: int = 0

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
            "failures": [],
        }

    def set_deliveries(self, event_type: str, rule: DeliveryRule) -> None:
        self._row["deliveries"][event_type] = asdict(rule)
        self._store.put(self._row)

    def set_payment(self, rule: PaymentRule) -> None:
        self._row["payment"] = asdict(rule)
        self._store.put(self._row)

    def add_failures(self, *, status: int, count: int, path: str, after_effect: bool) -> None:
        """Let the next `count` requests whose path contains `path` fail, before or after their effect."""
        self._row["failures"].append(
            {"status": status, "left": count, "path": path, "after_effect": after_effect}
        )
        self._store.put(self._row)

    def clear(self) -> None:
        self._row.update(deliveries={}, payment=asdict(PaymentRule()), failures=[])
        self._store.put(self._row)

    def rule_for(self, event_type: str) -> DeliveryRule:
        rules: Mapping[str, Any] = self._row["deliveries"]
        chosen = rules.get(event_type) or rules.get(EVERY_TYPE)
        return DeliveryRule(**chosen) if chosen else DeliveryRule()

    def failure_for(self, path: str, *, after_effect: bool) -> ApiError | None:
        """The failure that is due for a request, used up by asking."""
        for failure in self._row["failures"]:
            if failure["after_effect"] == after_effect and failure["path"] in path:
                failure["left"] -= 1
                if failure["left"] <= 0:
                    self._row["failures"].remove(failure)
                self._store.put(self._row)
                status = failure["status"]
                return errors.rate_limited() if status == 429 else errors.server_error(status)  # noqa: PLR2004
        return None

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
        return {key: self._row[key] for key in ("deliveries", "payment", "failures")}
