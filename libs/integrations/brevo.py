"""Brevo's transactional webhooks: what became of a mail. Shapes as seen live; it signs nothing.

Words come out of order and more than once; `request` comes even when the mail is then blocked; a `deferred`
may hold a final refusal in its `reason`; proxies open mails for people who have not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from libs.common.errors import PermanentFailure

LONGEST_SHOWN = 500


class MailWord(StrEnum):
    """Brevo's events as we tell them apart. `OTHER` changes nothing."""

    TAKEN = "taken"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    ADDRESS_INVALID = "address_invalid"
    BLOCKED = "blocked"
    ERROR = "error"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    OTHER = "other"


_WORDS: Mapping[str, MailWord] = {
    "request": MailWord.TAKEN,
    "sent": MailWord.TAKEN,
    "delivered": MailWord.DELIVERED,
    "deferred": MailWord.DEFERRED,
    "soft_bounce": MailWord.DEFERRED,
    "hard_bounce": MailWord.BOUNCED,
    "invalid_email": MailWord.ADDRESS_INVALID,
    "blocked": MailWord.BLOCKED,
    "error": MailWord.ERROR,
    "spam": MailWord.COMPLAINED,
    "complaint": MailWord.COMPLAINED,
    "unsubscribe": MailWord.UNSUBSCRIBED,
    "unsubscribed": MailWord.UNSUBSCRIBED,
}
_MOMENTS = ("ts_epoch", "ts_event", "ts", "date")


@dataclass(frozen=True, slots=True)
class MailReport:
    """`reference` is what we put into X-Mailin-custom. `dedup_key` is the same for the same word: Brevo's own
    `id` is the webhook's, not the event's."""

    word: MailWord
    reference: str
    message_id: str
    address: str
    text: str
    dedup_key: str


def read_webhook(said: Mapping[str, Any]) -> MailReport:
    """One object as Brevo posts it. Raises PermanentFailure when it is not one."""
    event, message_id, address = (_text(said.get(name)) for name in ("event", "message-id", "email"))
    if not event or not (message_id or said.get("X-Mailin-custom")):
        raise PermanentFailure("Brevo's webhook names no event, or no message")
    moment = next((_text(said[name]) for name in _MOMENTS if said.get(name)), "")
    return MailReport(
        word=_WORDS.get(event, MailWord.OTHER),
        reference=_text(said.get("X-Mailin-custom")),
        message_id=message_id,
        address=address,
        text=" ".join(filter(None, (event, _text(said.get("reason")))))[:LONGEST_SHOWN],
        dedup_key="|".join((message_id, event, address.lower(), moment)),
    )


def _text(value: object) -> str:
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
