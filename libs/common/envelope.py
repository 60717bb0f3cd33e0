"""CloudEvents 1.0 in Kafka's binary mode: what travels in the headers around an event's bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, TypeVar
from uuid import UUID

from libs.common.errors import PermanentFailure
from libs.common.events import EVENTS, Event

T = TypeVar("T")

Headers = list[tuple[str, bytes]]

LARGEST_REVISION = 2**63
"""What PostgreSQL's bigint no longer holds."""


class Envelope(NamedTuple):
    """One telling of a fact. `revision` numbers the facts of a key per teller (None for Stripe's own)."""

    event_id: UUID
    type: str
    source: str
    key: str
    time: datetime
    data: bytes
    revision: int | None = None
    traceparent: str | None = None
    causation_id: UUID | None = None

    def headers(self) -> Headers:
        headers = [
            *_constant_headers(self.type, self.source),
            ("ce_id", str(self.event_id).encode()),
            ("ce_subject", self.key.encode()),
            ("ce_time", self.time.isoformat().encode()),
        ]
        if self.revision is not None:
            headers.append(("ce_revision", str(self.revision).encode()))
        if self.traceparent is not None:
            headers.append(("traceparent", self.traceparent.encode()))
        if self.causation_id is not None:
            headers.append(("ce_causationid", str(self.causation_id).encode()))
        return headers

    @classmethod
    def read(cls, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> Envelope:
        """Raises PermanentFailure, naming the header, for what is not an event of ours."""
        raw = dict(headers)
        return cls(
            event_id=_required(raw, "ce_id", UUID),
            type=_required(raw, "ce_type", str),
            source=_required(raw, "ce_source", str),
            key=_optional({"key": key or None}, "key", str) or _required(raw, "ce_subject", str),
            time=_required(raw, "ce_time", _moment),
            data=value or b"",
            revision=_optional(raw, "ce_revision", _revision),
            traceparent=_optional(raw, "traceparent", str),
            causation_id=_optional(raw, "ce_causationid", UUID),
        )

    def event(self) -> Event:
        """The typed fact. Raises PermanentFailure when the type is not known or the bytes are not it."""
        event_class = EVENTS.get(self.type)
        if event_class is None:
            raise PermanentFailure(f"no event class is declared for type {self.type!r}")
        return event_class.from_bytes(self.data)


@lru_cache(maxsize=256)
def _constant_headers(event_type: str, source: str) -> Headers:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", event_type.encode()),
        ("ce_source", source.encode()),
        ("content-type", b"application/json"),
    ]


def _required(headers: Mapping[str, bytes | None], name: str, read: Callable[[str], T]) -> T:
    value = _optional(headers, name, read)
    if value is None or value == "":
        raise PermanentFailure(f"the header {name!r} is missing: this is not a CloudEvent in binary mode")
    return value


def _optional(headers: Mapping[str, bytes | None], name: str, read: Callable[[str], T]) -> T | None:
    value = headers.get(name)
    try:
        return None if value is None else read(value.decode())
    except ValueError as error:  # UnicodeDecodeError is one too
        raise PermanentFailure(f"the header {name!r} does not parse: {error}") from error


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} does not say its offset from UTC")
    return at


def _revision(text: str) -> int:
    revision = int(text)
    if not 0 <= revision < LARGEST_REVISION:
        raise ValueError(f"{revision} is out of range")
    return revision
