"""What carries one channel's letters: builds them, and hands them to a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from libs.integrations.sms import Sms, SmsProvider
from libs.integrations.smtp import Smtp
from services.notifications import mail, sms
from services.notifications.domain import KINDS, Category, Channel, Delivery
from services.notifications.domain.decisions import Doorkeeper
from services.notifications.settings import NotificationsSettings


@dataclass(frozen=True, slots=True)
class Built:
    """The exact bytes to be sent, and under which id of ours."""

    message_id: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """The server's answer, and its own name for what it took, where it told one."""

    answer: str
    provider_id: str | None


class Carrier(Protocol):
    """Filled by one class a channel. `size`: how many letters may be on their way at once."""

    channel: Channel
    size: int
    doorkeeper: Doorkeeper

    def room(self, wanted: int) -> int:
        """How many of so many may be begun now."""

    def give_back_room(self) -> None:
        """There was nothing to begin."""

    def build(self, delivery: Delivery, context: Mapping[str, Any], *, now: datetime) -> Built:
        """Raises whatever makes this one impossible to write."""

    async def carry(self, recipient: str, content: bytes, delivery: Delivery) -> Taken:
        """Raises TemporaryFailure, PermanentFailure or UnknownOutcome."""


class MailCarrier:
    """By SMTP."""

    channel = Channel.MAIL

    def __init__(self, smtp: Smtp, settings: NotificationsSettings) -> None:
        self._smtp = smtp
        self._settings = settings
        self.size = settings.smtp_connections
        self.doorkeeper: Doorkeeper = settings.allow_list

    def room(self, wanted: int) -> int:
        return wanted

    def give_back_room(self) -> None:
        return

    def build(self, delivery: Delivery, context: Mapping[str, Any], *, now: datetime) -> Built:
        message_id = message_id_of(delivery, self._settings)
        content = mail.build_mail(
            message_id=message_id,
            sender=self._settings.mail_sender,
            recipient=delivery.recipient or "",
            recipient_name=delivery.recipient_name,
            content=mail.render(KINDS[delivery.kind].template, context),
            kind=delivery.kind,
            billing_cycle=delivery.billing_cycle,
            delivery_id=delivery.id,
            date=now,
            traceparent=delivery.traceparent,
        )
        return Built(message_id, content)

    async def carry(self, recipient: str, content: bytes, delivery: Delivery) -> Taken:
        accepted = await self._smtp.send(
            sender=self._settings.mail_sender_address, recipient=recipient, content=content
        )
        return Taken(str(accepted), accepted.queue_id)


def message_id_of(delivery: Delivery, settings: NotificationsSettings) -> str:
    """Stable: the same delivery has the same Message-ID at every try."""
    return f"<{delivery.id}@{settings.mail_sender_address.rpartition('@')[2]}>"


class SmsCarrier:
    """By an SMS provider. Without one, `doorkeeper` lets nothing come as far as this."""

    channel = Channel.SMS

    def __init__(self, provider: SmsProvider, settings: NotificationsSettings) -> None:
        self._provider = provider
        self._settings = settings
        self.size = settings.sms_connections
        self.doorkeeper: Doorkeeper = settings.number_list

    def room(self, wanted: int) -> int:
        return self._provider.room(wanted)

    def give_back_room(self) -> None:
        self._provider.give_back_room()

    def build(self, delivery: Delivery, context: Mapping[str, Any], *, now: datetime) -> Built:
        text = sms.build_sms(
            KINDS[delivery.kind].template, context, is_transliterated=self._settings.sms_transliterate
        )
        return Built(str(delivery.id), text.text.encode())

    async def carry(self, recipient: str, content: bytes, delivery: Delivery) -> Taken:
        accepted = await self._provider.send(
            Sms(
                recipient=recipient,
                text=content.decode(),
                sender=self._settings.sms_sender,
                reference=str(delivery.id),
                # The law wants a way to object in prospecting only.
                is_stop_wanted=KINDS[delivery.kind].category is Category.MARKETING,
            )
        )
        return Taken(str(accepted), accepted.provider_id)
