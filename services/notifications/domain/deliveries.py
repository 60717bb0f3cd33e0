"""What a delivery is: plain values, as far as decisions and sending need them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.common.events.billing import OpenInvoice
from libs.common.events.event import uuid_of


class Status(StrEnum):
    """Where a delivery stands. `unknown` waits for a word, never for a resend; `accepted` may still hear that
    it was delivered, or came back."""

    PENDING = "pending"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"


class Why(StrEnum):
    """Why a delivery was not sent, or failed."""

    NO_ADDRESS = "no_address"
    # Of SMS: a number, but of a phone that takes none; no number at all; one that nobody has; no provider.
    NO_MOBILE = "no_mobile"
    NOT_A_NUMBER = "not_a_number"
    TEST_NUMBER = "test_number"
    CHANNEL_OFF = "channel_off"
    PAID = "paid"
    ALREADY_LISTED = "already_listed"
    RECENT_NOTICE = "recent_notice"
    SUBSCRIBED = "subscribed"
    NOT_ALLOWED_OUTSIDE_PROD = "not_allowed_outside_prod"
    EXPIRED = "expired"
    REFUSED = "refused"
    CAME_BACK = "came_back"
    CANNOT_BE_BUILT = "cannot_be_built"


class Category(StrEnum):
    """Decides consent, hours and unsubscribing."""

    LEGAL = "legal"
    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"
    INTERNAL = "internal"


class Channel(StrEnum):
    MAIL = "mail"
    SMS = "sms"


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom the directory names for a company; `phone` as it was typed there."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What a fact makes us say to one person. `dedup_key` is made of facts: same message, same key.

    `recipient` is a mail address, `phone` a number; the channel says which of them counts.
    """

    kind: str
    dedup_key: str
    company_id: UUID
    recipient: str | None
    recipient_name: str
    context: Mapping[str, Any]
    invoice_id: str | None = None
    billing_cycle: str | None = None
    stage: int | None = None
    expires_at: datetime | None = None
    phone: str | None = None
    channel: Channel = Channel.MAIL

    @property
    def key(self) -> str:
        """The message's own, and beside it one for each further channel."""
        return self.dedup_key if self.channel is Channel.MAIL else f"{self.dedup_key}:{self.channel}"

    @property
    def address(self) -> str | None:
        return self.phone if self.channel is Channel.SMS else self.recipient

    @property
    def delivery_id(self) -> UUID:
        return uuid_of(f"delivery|{self.key}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way to one person: a row of `deliveries`, as far as decisions and sending need it."""

    id: UUID
    company_id: UUID
    kind: str
    channel: str
    recipient: str | None
    recipient_name: str
    invoice_id: str | None
    invoice_ids: tuple[str, ...]
    billing_cycle: str | None
    stage: int | None
    context: Mapping[str, Any]
    attempts: int
    fence: int
    created_at: datetime
    expires_at: datetime
    event_id: UUID
    event_type: str
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivery, the exact bytes that are about to be sent for it, and the invoices they tell of."""

    delivery: Delivery
    recipient: str
    message_id: str
    content: bytes
    listed: tuple[OpenInvoice, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """An invoice that some mail of this kind has told the customer about."""

    invoice_id: str
    billing_cycle: str
    stage: int
    delivery_id: UUID


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of a delivery's company at the moment that counts, under the company's lock."""

    open_invoices: Sequence[OpenInvoice] = ()
    closed_invoice_ids: Collection[str] = ()
    listed: Sequence[Listed] = ()
    is_subscribed: bool = False
    # When the company was last sent an unpaid notice.
    noticed_at: datetime | None = None
