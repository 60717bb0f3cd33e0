"""The simulator's world, and an act upon it."""

import json
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from libs.devstack.stripe_simulator import errors
from libs.devstack.stripe_simulator.chaos import Chaos
from libs.devstack.stripe_simulator.clock import SimulatedClock
from libs.devstack.stripe_simulator.deliveries import Deliverer
from libs.devstack.stripe_simulator.settings import SimulatorSettings
from libs.devstack.stripe_simulator.store import Record, Store


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def frozen(record: Record) -> Record:
    """A deep copy, which later changes do not reach."""
    copy: Record = json.loads(json.dumps(record))
    return copy


@dataclass(frozen=True)
class Cause:
    """The API call behind an event; both are null for what Stripe does by itself."""

    request_id: str | None = None
    idempotency_key: str | None = None


AUTOMATIC = Cause()


class World:
    """What the parts share: settings, records, clock, faults, deliveries and the locks of invoices."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self.store = Store(settings.data_dir)
        self.clock = SimulatedClock(self.store)
        self.chaos = Chaos(self.store)
        self.deliverer = Deliverer(settings, self.store)
        self.requests: Counter[str] = Counter()
        self._locked: set[str] = set()

    def commit(self) -> None:
        """Make durable what was changed, then let its webhooks go."""
        self.store.flush()
        self.deliverer.send_queued()

    @contextmanager
    def sole_writer(self, key: str) -> Iterator[None]:
        """One writer an object.

        Raises:
            ApiError: 429 `lock_timeout` when somebody else holds it.
        """
        if key in self._locked:
            raise errors.locked(key)
        self._locked.add(key)
        try:
            yield
        finally:
            self._locked.discard(key)

    def is_locked(self, key: str) -> bool:
        return key in self._locked


@dataclass(frozen=True)
class Act:
    """Something done to the world, with its cause; every event that it emits carries that cause."""

    world: World
    cause: Cause = AUTOMATIC

    @property
    def store(self) -> Store:
        return self.world.store

    @property
    def settings(self) -> SimulatorSettings:
        return self.world.settings

    def now(self) -> int:
        return self.world.clock.now()

    def get(self, kind: str, key: str, param: str = "id") -> Record:
        """The record.

        Raises:
            ApiError: `resource_missing`.
        """
        record = self.store.find(kind, key)
        if record is None:
            raise errors.no_such(kind, key, param)
        return record

    def put(self, record: Record, event_type: str | None = None) -> Record:
        """Keep a record; with `event_type`, tell it."""
        self.store.put(record)
        if event_type:
            self.emit(event_type, record)
        return record

    def change(self, record: Record, event_type: str | None = None, **fields: Any) -> Record:
        """Set fields; with `event_type`, tell it with `previous_attributes` when anything changed."""
        before = dict(record)
        record.update(fields)
        self.store.put(record)
        previous = previous_attributes(before, record)
        if event_type and previous:
            self.emit(event_type, record, previous)
        return record

    def emit(self, event_type: str, record: Record, previous: Record | None = None) -> Record:
        """Tell an event: a frozen copy of the record, and a delivery for each endpoint that wants it."""
        data: Record = {"object": frozen(record)}
        if previous is not None:
            data["previous_attributes"] = frozen(previous)
        event = {
            "id": new_id("evt"),
            "object": "event",
            "account": None,
            "api_version": self.settings.api_version,
            "context": None,
            "created": self.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": self.cause.request_id, "idempotency_key": self.cause.idempotency_key},
            "type": event_type,
        }
        self.store.put(event)
        self.world.deliverer.queue(event, self.world.chaos.rule_for(event_type))
        return event


def previous_attributes(before: Record, after: Record) -> Record:
    """The old values of what changed at the top level; of metadata, only the keys that changed."""
    changed = {key: old for key, old in before.items() if key != "_sim" and old != after.get(key)}
    if "metadata" in changed:
        old, new = before["metadata"], after["metadata"]
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        changed["metadata"] = {key: old.get(key) for key in keys}
    return changed
