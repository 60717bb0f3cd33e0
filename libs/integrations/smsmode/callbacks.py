"""What smsmode posts, and lists: reports of its own SMS, and what people answered to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from libs.common.errors import PermanentFailure
from libs.integrations.sms import SmsReply, SmsReport, SmsState
from libs.integrations.smsmode.answers import LONGEST_SHOWN

# Whatever is not in it, such as READ, changes nothing: never taken for a failure.
_STATES: Mapping[str, SmsState] = {
    "DELIVERED": SmsState.DELIVERED,
    "UNDELIVERABLE": SmsState.UNDELIVERED,
    "UNDELIVERED": SmsState.UNDELIVERED,
}
_DEAD_NUMBER = frozenset({"INVALID_PHONE_NUMBER"})
_NUMBER = re.compile(r"\+?\d{8,15}", re.ASCII)
_LONGEST_REPLY = 2000


def read_callback(said: Mapping[str, Any]) -> SmsReport | SmsReply:
    """A report has a status, a reply has none; `direction` alone does not tell them apart. Raises
    PermanentFailure for what is neither."""
    provider_id = _text(said.get("messageId"))
    if not provider_id:
        raise PermanentFailure("smsmode's callback has no messageId")
    status = said.get("status")
    if isinstance(status, dict) and isinstance(status.get("value"), str):
        return read_report(said)
    body = said.get("body")
    # The phone is in one place by the documentation and in the other in practice.
    numbers = [each for each in (_text(said.get("from")), _recipient(said)) if _NUMBER.fullmatch(each)]
    if not numbers or not isinstance(body, dict):
        raise PermanentFailure("smsmode's callback is neither a report nor a reply")
    return SmsReply(provider_id, "+" + numbers[0].lstrip("+"), _text(body.get("text"))[:_LONGEST_REPLY])


def read_report(said: Mapping[str, Any]) -> SmsReport:
    """Also a row of the list, and the answer of a look-up."""
    given = said.get("status")
    status = given if isinstance(given, dict) else {}
    value, detail = _text(status.get("value")), _text(status.get("detail"))
    return SmsReport(
        provider_id=_text(said.get("messageId")),
        reference=_text(said.get("refClient")) or None,
        state=_STATES.get(value, SmsState.UNDER_WAY),
        text=" ".join(filter(None, (value, detail)))[:LONGEST_SHOWN],
        is_number_dead=detail in _DEAD_NUMBER,
    )


def _recipient(said: Mapping[str, Any]) -> str:
    recipient = said.get("recipient")
    return _text(recipient.get("to")) if isinstance(recipient, dict) else ""


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
