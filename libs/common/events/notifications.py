"""What notifications tells about each delivery."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from libs.common.events.event import CompanyEvent


class _DeliveryEvent(CompanyEvent):
    delivery_id: UUID
    kind: str
    channel: str
    billing_cycle: str | None = None
    invoice_ids: tuple[str, ...] = ()


class DeliveryAccepted(_DeliveryEvent):
    """The provider's server took a message."""

    type: ClassVar[str] = "notifications.delivery_accepted.v1"
    identity: ClassVar[tuple[str, ...]] = ("delivery_id",)

    accepted_at: datetime
    answer: str


class DeliveryDelivered(_DeliveryEvent):
    """A message reached its recipient's mailbox or phone, as the provider says."""

    type: ClassVar[str] = "notifications.delivery_delivered.v1"
    identity: ClassVar[tuple[str, ...]] = ("delivery_id",)

    delivered_at: datetime
    answer: str


class DeliveryFailed(_DeliveryEvent):
    """A message was refused for good, or expired before it could be sent."""

    type: ClassVar[str] = "notifications.delivery_failed.v1"
    identity: ClassVar[tuple[str, ...]] = ("delivery_id",)

    failed_at: datetime
    answer: str


class DeliverySuppressed(_DeliveryEvent):
    """A message was deliberately not sent; `why` says so in a word, such as `already_listed`."""

    type: ClassVar[str] = "notifications.delivery_suppressed.v1"
    identity: ClassVar[tuple[str, ...]] = ("delivery_id",)

    suppressed_at: datetime
    why: str


class DeliveryUnknown(_DeliveryEvent):
    """Nobody can tell whether a message left: it is held for a person or the provider's word."""

    type: ClassVar[str] = "notifications.delivery_unknown.v1"
    identity: ClassVar[tuple[str, ...]] = ("delivery_id",)

    unknown_at: datetime
    answer: str


class DeliveryBounced(_DeliveryEvent):
    """A message came back: it did not reach its recipient after all."""

    type: ClassVar[str] = "notifications.delivery_bounced.v1"
    identity: ClassVar[tuple[str, ...]] = ("delivery_id",)

    bounced_at: datetime
    answer: str
