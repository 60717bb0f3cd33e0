"""Messages on their way, each step of them, and what providers say of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from services.notifications.models.base import Model


class Delivery(Model):
    """One message on its way to one person, once: `dedup_key` is made of facts."""

    __tablename__ = "deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    dedup_key: Mapped[str] = mapped_column(unique=True)
    company_id: Mapped[UUID]
    kind: Mapped[str]
    category: Mapped[str]
    channel: Mapped[str]
    recipient: Mapped[str | None]
    recipient_name: Mapped[str]
    # The invoice whose fact made it, and all that it tells the customer about.
    invoice_id: Mapped[str | None]
    invoice_ids: Mapped[list[str]]
    billing_cycle: Mapped[str | None]
    stage: Mapped[int | None]
    context: Mapped[dict[str, Any]]
    status: Mapped[str]
    why: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    # New at each claim: only who holds it may note what came of the claim.
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    message_id: Mapped[str | None]
    # The provider's own name for it.
    provider_id: Mapped[str | None]
    answer: Mapped[str | None]
    content: Mapped[bytes | None]
    # Of the sources that the content was rendered from.
    template_version: Mapped[str | None]
    event_id: Mapped[UUID]
    event_type: Mapped[str]
    traceparent: Mapped[str | None]
    created_at: Mapped[datetime]
    sending_at: Mapped[datetime | None]
    # Claimed ahead: while this is true it was certainly not handed to a server.
    waits_for_turn: Mapped[bool] = mapped_column(server_default=text("false"))
    settled_at: Mapped[datetime | None]
    # Of an unknown one: when the provider is next asked what became of it, and how often it was.
    ask_at: Mapped[datetime | None]
    asked: Mapped[int] = mapped_column(server_default=text("0"))
    # When its bytes and what was personal in `context` were taken away; the record stays.
    forgotten_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "deliveries_due", "channel", "due_at", "created_at", postgresql_where=text("status = 'pending'")
        ),
        Index("deliveries_pending_by_company", "company_id", postgresql_where=text("status = 'pending'")),
        Index("deliveries_sending", "lease_until", postgresql_where=text("status = 'sending'")),
        Index("deliveries_unknown", "created_at", postgresql_where=text("status = 'unknown'")),
        Index("deliveries_by_company", "company_id", "created_at"),
        Index("deliveries_by_time", "created_at", postgresql_using="brin"),
        Index(
            "deliveries_marketing",
            "company_id",
            "sending_at",
            postgresql_where=text("category = 'marketing'"),
        ),
        Index("deliveries_newest", "created_at", "id"),
        Index(
            "deliveries_to_forget",
            "settled_at",
            postgresql_where=text("settled_at is not null and forgotten_at is null"),
        ),
    )


class DeliveryState(Model):
    """One step of a delivery's history; rows are only added."""

    __tablename__ = "delivery_states"

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("deliveries.id"))
    status: Mapped[str]
    why: Mapped[str | None]
    answer: Mapped[str | None]
    at: Mapped[datetime]

    __table_args__ = (Index("delivery_states_by_delivery", "delivery_id", "seq"),)


class ProviderEvent(Model):
    """What a provider posted, once however often it does; worked by a job."""

    __tablename__ = "provider_events"

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    provider: Mapped[str]
    dedup_key: Mapped[str]
    body: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(server_default=text("'pending'"))
    # What it changed, or why nothing.
    outcome: Mapped[str | None]
    delivery_id: Mapped[UUID | None]
    worked_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("provider", "dedup_key"),
        Index("provider_events_pending", "seq", postgresql_where=text("status = 'pending'")),
        Index("provider_events_by_delivery", "delivery_id", "seq"),
    )
