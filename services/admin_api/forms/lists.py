"""Read models as the API shows them, and the cursors of its lists."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.admin_api.auth.callers import Caller
from services.admin_api.domain import mask_words
from services.admin_api.problems import invalid

T = TypeVar("T")


class DeliveryAnswer(BaseModel):
    """A message to a company and what became of it: accepted, failed, suppressed or unknown."""

    model_config = ConfigDict(from_attributes=True)

    delivery_id: UUID
    company_id: UUID
    kind: str
    channel: str
    billing_cycle: str | None
    invoice_ids: list[str]
    first_at: datetime
    status: str
    at: datetime
    detail: str

    def seen_by(self, caller: Caller) -> DeliveryAnswer:
        """Without personal data for those from whom they are hidden."""
        return self.model_copy(update={"detail": mask_words(self.detail)}) if caller.is_masked else self


class DeliveriesAnswer(BaseModel):
    """A page, newest first; `next` goes into `after` for the one behind it, null on the last."""

    deliveries: list[DeliveryAnswer]
    next: str | None


class SetAsideAnswer(BaseModel):
    """An event that a service could not work, with the cause."""

    model_config = ConfigDict(from_attributes=True)

    service: str
    event_id: UUID
    type: str
    key: str
    cause: str
    attempts: int
    at: datetime

    def seen_by(self, caller: Caller) -> SetAsideAnswer:
        """Without personal data for those from whom they are hidden."""
        return self.model_copy(update={"cause": mask_words(self.cause)}) if caller.is_masked else self


class SetAsidesAnswer(BaseModel):
    """A page, newest first; `next` goes into `after` for the one behind it, null on the last."""

    set_aside: list[SetAsideAnswer]
    next: str | None


def to_cursor(*place: object) -> str:
    return base64.urlsafe_b64encode(json.dumps([str(part) for part in place]).encode()).decode().rstrip("=")


def delivery_place(cursor: str) -> tuple[datetime, UUID]:
    """Raises Problem."""
    at, delivery_id = _parts(cursor, 2)
    return _parsed(_moment, at), _parsed(UUID, delivery_id)


def set_aside_place(cursor: str) -> tuple[datetime, UUID, str]:
    """Raises Problem."""
    at, event_id, service = _parts(cursor, 3)
    if "\x00" in service:
        raise _wrong_cursor()
    return _parsed(_moment, at), _parsed(UUID, event_id), service


def timeline_place(cursor: str) -> tuple[datetime, str, str]:
    """Raises Problem."""
    at, source, ident = _parts(cursor, 3)
    return _parsed(_moment, at), source, ident


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment must name its time zone")
    return moment.astimezone(UTC)


def _parts(cursor: str, count: int) -> Sequence[str]:
    padded = cursor + "=" * (-len(cursor) % 4)
    parts: Any = _parsed(
        lambda text: json.loads(base64.b64decode(text, altchars=b"-_", validate=True)), padded
    )
    if not isinstance(parts, list) or len(parts) != count or not all(isinstance(p, str) for p in parts):
        raise _wrong_cursor()
    return parts


def _parsed(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except (ValueError, OverflowError, RecursionError) as error:
        raise _wrong_cursor() from error


def _wrong_cursor() -> Exception:
    message = "Ce curseur n'est pas de ceux que l'API a donnés : reprenez « next » tel quel."
    return invalid([{"code": "cursor_invalid", "where": "after", "message": message}])
