"""A provider's callback as ours: which delivery it is about, and what it says of it and of the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from libs.integrations.brevo import MailReport, MailWord, read_webhook
from libs.integrations.sms import SmsReply, SmsReport, SmsState
from libs.integrations.smsmode import read_callback
from services.notifications.domain import Channel, Status
from services.notifications.domain.numbers import mobile_of
from services.notifications.domain.reports import Report, Verdict, is_dead_address, is_permanent

BREVO = "brevo"
SMSMODE = "smsmode"
STOP_WORDS = frozenset({"STOP", "STOPSMS", "ARRET", "ARRÊT", "DESABONNEMENT", "DÉSABONNEMENT"})


@dataclass(frozen=True, slots=True)
class Word:
    """`delivery_id` None where it is about no message of ours, such as a reply; `address` says whose."""

    dedup_key: str
    channel: Channel
    delivery_id: UUID | None
    report: Report
    address: str | None = None


def read_word(provider: str, body: Mapping[str, Any]) -> Word:
    """Raises PermanentFailure for what is no callback of this provider."""
    if provider == BREVO:
        return _mail_word(read_webhook(body))
    said = read_callback(body)
    return _reply(said) if isinstance(said, SmsReply) else sms_word(said)


def _mail_word(said: MailReport) -> Word:
    status, verdict = _of_mail(said)
    return Word(
        dedup_key=said.dedup_key,
        channel=Channel.MAIL,
        # Some relays overwrite the Message-ID, which names the delivery too; theirs comes back as it went.
        delivery_id=_uuid(said.reference) or _uuid(said.message_id.strip("<>").partition("@")[0]),
        report=Report(status, said.text, said.message_id or None, verdict),
        address=said.address or None,
    )


def _of_mail(said: MailReport) -> tuple[Status | None, Verdict | None]:
    match said.word:
        case MailWord.TAKEN:
            return Status.ACCEPTED, None
        case MailWord.DELIVERED:
            return Status.DELIVERED, None
        case MailWord.BOUNCED | MailWord.BLOCKED | MailWord.ERROR:
            return Status.BOUNCED, Verdict.BOUNCES if is_dead_address(said.text) else None
        case MailWord.ADDRESS_INVALID:
            return Status.BOUNCED, Verdict.BOUNCES
        case MailWord.DEFERRED if is_permanent(said.text):
            return Status.BOUNCED, Verdict.BOUNCES if is_dead_address(said.text) else None
        case MailWord.COMPLAINED:
            # Whoever complains has it.
            return Status.DELIVERED, Verdict.COMPLAINED
        case MailWord.UNSUBSCRIBED:
            return None, Verdict.UNSUBSCRIBED
        case _:
            return None, None


def sms_word(said: SmsReport) -> Word:
    return Word(
        dedup_key=f"{said.provider_id}|{said.text.partition(' ')[0]}",
        channel=Channel.SMS,
        delivery_id=_uuid(said.reference or ""),
        report=Report(
            _OF_SMS.get(said.state),
            said.text,
            said.provider_id or None,
            Verdict.BOUNCES if said.is_number_dead else None,
        ),
    )


_OF_SMS: Mapping[SmsState, Status] = {
    # smsmode knows of it, so it was taken.
    SmsState.UNDER_WAY: Status.ACCEPTED,
    SmsState.DELIVERED: Status.DELIVERED,
    SmsState.UNDELIVERED: Status.BOUNCED,
}


def _reply(said: SmsReply) -> Word:
    number, why = mobile_of(said.number)
    is_stop = bool(said.text.split()) and said.text.split()[0].strip(".,!").upper() in STOP_WORDS
    return Word(
        dedup_key=f"{said.provider_id}|reply",
        channel=Channel.SMS,
        delivery_id=None,
        report=Report(None, said.text[:200], said.provider_id, Verdict.STOPPED if is_stop else None),
        address=number if why is None else said.number,
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
