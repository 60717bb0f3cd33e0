"""What a mail server answers, in our words."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import Counter

from libs.common.errors import PermanentFailure, TemporaryFailure

log = logging.getLogger("relance.smtp")

ALARMS = Counter(
    "relance_smtp_alarms_total", "Refusals that somebody must look at: ours to fix, not the mail's", ["why"]
)

SERVICE_NOT_AVAILABLE = 421
# Login wanted, refused, too weak, not encrypted: about us, never about the mail.
AUTH_CODES = frozenset({530, 534, 535, 538})
# Commands not known, not in order, not allowed: the two of us do not understand each other.
PROTOCOL_CODES = frozenset({502, 503, 504})
MAIL_TOO_BIG = "5.3.4"
TOO_MUCH_DATA = 552

_ENHANCED_STATUS = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_QUEUE_ID = re.compile(r"\bqueued(?: mail)?(?: for delivery)? as <?([^\s<>]+)>?|\bid=<?([^\s<>;,]+)>?", re.I)
_RELAYING = re.compile(r"\brelay", re.I)
_LONGEST_ANSWER = 1000


class Stage(StrEnum):
    """How far a mail had come when the server answered, or fell silent."""

    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class SmtpAccepted:
    """The server took the mail. `queue_id` is its own name for it, where it told one."""

    code: int
    message: str
    queue_id: str | None

    @classmethod
    def of(cls, code: int, message: str) -> SmtpAccepted:
        match = _QUEUE_ID.search(message)
        return cls(code, message[:_LONGEST_ANSWER], (match[1] or match[2]) if match else None)

    def __str__(self) -> str:
        return f"{self.code} {self.message}"


def refusal(stage: Stage, code: int, message: str) -> TemporaryFailure | PermanentFailure:
    """The failure that a 4xx or 5xx answer is.

    Only what is about this mail or this recipient is permanent: what is about us (login, sender, relaying,
    the server's configuration) would fail every mail alike, so it waits until somebody has looked.
    """
    text = f"{stage}: {code} {message[:_LONGEST_ANSWER]}"
    if why := _alarming(stage, code, message):
        raise_alarm(why, text)
        return TemporaryFailure(text)
    return PermanentFailure(text) if code // 100 == 5 else TemporaryFailure(text)  # noqa: PLR2004


def raise_alarm(why: str, text: str) -> None:
    """Counts and logs a refusal that somebody must look at."""
    ALARMS.labels(why).inc()
    level = logging.WARNING if why == "unavailable" else logging.ERROR
    log.log(level, "the mail server refuses us (%s): %s", why, text)


def _alarming(stage: Stage, code: int, message: str) -> str | None:
    match = _ENHANCED_STATUS.match(message)
    status = match[1] if match else ""
    if code == SERVICE_NOT_AVAILABLE:
        return "unavailable"
    if code // 100 != 5:  # noqa: PLR2004
        return None
    if code in AUTH_CODES or status.startswith(("5.7.0", "5.7.8", "5.7.9")):
        return "authentication"
    is_configuration = (
        code in PROTOCOL_CODES
        or stage is Stage.CONNECT
        or (stage is Stage.MAIL and code != TOO_MUCH_DATA and status != MAIL_TOO_BIG)
        or (status.startswith("5.3.") and status != MAIL_TOO_BIG)
        or (stage is Stage.RCPT and _RELAYING.search(message) is not None)
    )
    return "configuration" if is_configuration else None
