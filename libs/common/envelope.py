"""CloudEvents 1.0 in Kafka's binary mode: what travels in the headers around an event's bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.errors import PermanentFailure
from libs.common.events import EVENTS, Event

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Envelope:
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
            ("ce_specversion", b"1.0"),
            ("ce_id", str(self.event_id).encode()),
            ("ce_type", self.type.encode()),
            ("ce_source", self.source.encode()),
            ("ce_subject", self.key.encode()),
            ("ce_time", self.time.isoformat().encode()),
            ("content-type", b"application/json"),
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
        revision = _optional(raw, "ce_revision")
        causation_id = _optional(raw, "ce_causationid")
        try:
            return cls(
                event_id=UUID(_text(raw, "ce_id")),
                type=_text(raw, "ce_type"),
                source=_text(raw, "ce_source"),
                key=(key or b"").decode() or _text(raw, "ce_subject"),
                time=datetime.fromisoformat(_text(raw, "ce_time")),
                data=value or b"",
                revision=None if revision is None else int(revision),
                traceparent=_optional(raw, "traceparent"),
                causation_id=None if causation_id is None else UUID(causation_id),
            )
        except ValueError as error:
            raise PermanentFailure(f"a header of this message does not parse: {error}") from error

    def event(self) -> Event:
        """The typed fact. Raises PermanentFailure when the type is not known or the bytes are not it."""
        event_class = EVENTS.get(self.type)
        if event_class is None:
            raise PermanentFailure(f"no event class is declared for type {self.type!r}")
        return event_class.from_bytes(self.data)


def _text(headers: dict[str, bytes], name: str) -> str:
    value = _optional(headers, name)
    if not value:
        raise PermanentFailure(f"the header {name!r} is missing: this is not a CloudEvent in binary mode")
    return value


def _optional(headers: dict[str, bytes], name: str) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode()
