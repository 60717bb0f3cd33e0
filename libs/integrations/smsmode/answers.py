"""What smsmode answers to a send, in our words. Documented at dev.smsmode.com (REST v1)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from prometheus_client import Counter

from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome
from libs.integrations.sms import SmsAccepted

log = logging.getLogger("relance.smsmode")

ALARMS = Counter(
    "relance_sms_alarms_total", "Refusals that somebody must look at: ours to fix, not the SMS's", ["why"]
)

LONGEST_SHOWN = 300
LONGEST_REST_SECONDS = 3600.0

# A key that is wrong or of another channel's type, no credit, an address that is not the API's.
_ABOUT_US: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "authentication",
    HTTPStatus.FORBIDDEN: "authentication",
    HTTPStatus.PAYMENT_REQUIRED: "credit",
    HTTPStatus.NOT_FOUND: "configuration",
    HTTPStatus.METHOD_NOT_ALLOWED: "configuration",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "configuration",
}
# These say that the request was not worked; any other 5xx may come after it was.
_NOT_TAKEN = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)


class RestWantedError(TemporaryFailure):
    """smsmode asks to be left alone for a while."""


def read_accepted(status: int, headers: Mapping[str, str], body: bytes) -> SmsAccepted:
    """Raises as SmsProvider.send does."""
    if status == HTTPStatus.CREATED:
        return _accepted(body)
    shown = _shown(status, body)
    if status in _NOT_TAKEN:
        raise RestWantedError(
            f"smsmode asks to come again: {shown}",
            retry_after_seconds=retry_after(headers.get("retry-after")),
        )
    if status in _ABOUT_US:
        raise_alarm(_ABOUT_US[status], shown)
        raise TemporaryFailure(f"smsmode refuses us: {shown}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise UnknownOutcome(f"smsmode failed, and may have taken it: {shown}")
    if status >= HTTPStatus.BAD_REQUEST:
        raise PermanentFailure(f"smsmode refuses it: {shown}")
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        raise_alarm("configuration", shown)
        raise TemporaryFailure(f"smsmode sends us elsewhere, see SMSMODE_API_BASE: {shown}")
    raise UnknownOutcome(f"smsmode's answer makes no sense: {shown}")


def _accepted(body: bytes) -> SmsAccepted:
    said = json_object(body)
    provider_id = said.get("messageId")
    if not isinstance(provider_id, str) or not provider_id:
        raise UnknownOutcome(f"smsmode took something, but does not say what: {_shown(201, body)}")
    content = said.get("body")
    parts = content.get("messagePartCount") if isinstance(content, dict) else None
    counted = f", {parts} part(s)" if isinstance(parts, int) else ""
    return SmsAccepted(provider_id, f"201 {provider_id}{counted}"[:LONGEST_SHOWN])


def raise_alarm(why: str, shown: str) -> None:
    ALARMS.labels(why).inc()
    log.error("smsmode refuses us (%s): %s", why, shown)


def retry_after(value: str | None) -> float | None:
    """Seconds, or a moment; at most an hour: whoever asks for more is asked again."""
    if not value:
        return None
    if value.isascii() and value.isdecimal():
        return min(float(value), LONGEST_REST_SECONDS)
    try:
        seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(0.0, seconds), LONGEST_REST_SECONDS)


def json_object(body: bytes) -> dict[str, Any]:
    """Empty for what is none."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _shown(status: int, body: bytes) -> str:
    """Their own words for it, where there are such."""
    said = json_object(body)
    words = [str(said[name]) for name in ("errorCode", "message", "detail") if said.get(name)]
    text = " · ".join(words) or body[:LONGEST_SHOWN].decode(errors="replace")
    return f"{int(status)} {text}"[:LONGEST_SHOWN].strip()
