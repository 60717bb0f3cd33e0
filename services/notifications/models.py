"""Tables of notifications; `migrations/` makes them, a test compares."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Sequence,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from libs.common.frame_tables import add_frame_tables


class Model(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own shape
        str: Text,
        bytes: LargeBinary,
        datetime: DateTime(timezone=True),
        UUID: Uuid,
        list[str]: ARRAY(Text),
        dict[str, Any]: JSONB,
    }


add_frame_tables(Model.metadata)

Sequence("delivery_fences", metadata=Model.metadata)


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
    event_id: Mapped[UUID]
    event_type: Mapped[str]
    traceparent: Mapped[str | None]
    created_at: Mapped[datetime]
    sending_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    # Of an unknown one: when the provider is next asked what became of it, and how often it was.
    ask_at: Mapped[datetime | None]
    asked: Mapped[int] = mapped_column(server_default=text("0"))
    # When its bytes and what was personal in `context` were taken away; the record stays.
    forgotten_at: Mapped[datetime | None]

    __table_args__ = (
        Index("deliveries_due", "channel", "due_at", postgresql_where=text("status = 'pending'")),
        Index("deliveries_pending_by_company", "company_id", postgresql_where=text("status = 'pending'")),
        Index("deliveries_sending", "lease_until", postgresql_where=text("status = 'sending'")),
        Index("deliveries_unknown", "created_at", postgresql_where=text("status = 'unknown'")),
        Index("deliveries_by_company", "company_id", "created_at"),
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


class ListedInvoice(Model):
    """An invoice that a delivery tells the customer about, at a stage of a billing cycle: once."""

    __tablename__ = "listed_invoices"

    kind: Mapped[str] = mapped_column(primary_key=True)
    invoice_id: Mapped[str] = mapped_column(primary_key=True)
    billing_cycle: Mapped[str] = mapped_column(primary_key=True)
    stage: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("deliveries.id"))

    __table_args__ = (Index("listed_invoices_by_delivery", "delivery_id"),)


class OpenInvoice(Model):
    """Our own copy of what waits for money. A closed one stays, so that late news does not reopen it."""

    __tablename__ = "open_invoices"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    invoice_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[str | None]
    amount_remaining_cents: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None]
    billing_cycle: Mapped[str | None]
    issued_at: Mapped[datetime | None]
    hosted_invoice_url: Mapped[str | None]
    pay_url: Mapped[str | None]
    revision: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    closed_at: Mapped[datetime | None]


class Company(Model):
    """Whom the directory names for a company, each field with the revision that told it."""

    __tablename__ = "companies"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    name_revision: Mapped[int] = mapped_column(BigInteger)
    email: Mapped[str | None]
    email_revision: Mapped[int] = mapped_column(BigInteger)
    phone: Mapped[str | None]
    phone_revision: Mapped[int] = mapped_column(BigInteger)


class SubscribedCompany(Model):
    """A company that has subscribed needs no more sign-up mails."""

    __tablename__ = "subscribed_companies"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]


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


class AddressVerdict(Model):
    """What a provider's words say about an address or a number, beyond the one message."""

    __tablename__ = "address_verdicts"

    channel: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    verdict: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    delivery_id: Mapped[UUID | None]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    times: Mapped[int] = mapped_column(server_default=text("1"))


class TeamNotice(Model):
    """Something that the team should know, until a digest tells it; its id is that of the fact."""

    __tablename__ = "team_notices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    topic: Mapped[str]
    company_id: Mapped[UUID | None]
    line: Mapped[str]
    link: Mapped[str | None]
    event_id: Mapped[UUID]
    event_type: Mapped[str]
    traceparent: Mapped[str | None]
    at: Mapped[datetime]
    added_at: Mapped[datetime]
    digest_id: Mapped[UUID | None]
    # When it turned out not to be worth a message.
    dropped_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "team_notices_waiting",
            "added_at",
            postgresql_where=text("digest_id is null and dropped_at is null"),
        ),
        Index("team_notices_by_time", "added_at"),
    )


class TeamDigest(Model):
    """What the team was told at once: by mail (a delivery), and on Slack (the columns `slack_…`)."""

    __tablename__ = "team_digests"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    made_at: Mapped[datetime]
    # How long its first notice waited; it grows while a flood goes on.
    wait_seconds: Mapped[float]
    notices: Mapped[int]
    content: Mapped[dict[str, Any]]
    mail_delivery_id: Mapped[UUID | None]
    slack_status: Mapped[str]
    slack_why: Mapped[str | None]
    slack_answer: Mapped[str | None]
    slack_attempts: Mapped[int] = mapped_column(server_default=text("0"))
    slack_due_at: Mapped[datetime]
    slack_claimed_at: Mapped[datetime | None]
    slack_lease_until: Mapped[datetime | None]
    slack_settled_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]

    __table_args__ = (
        Index("team_digests_by_time", "made_at"),
        Index(
            "team_digests_open",
            "slack_due_at",
            postgresql_where=text("slack_status in ('pending', 'sending')"),
        ),
    )


class ShortLink(Model):
    """An address that may be shortened, by its SHA-256; wanted, then shortened or refused for good."""

    __tablename__ = "short_links"

    url_hash: Mapped[bytes] = mapped_column(primary_key=True)
    url: Mapped[str]
    short_url: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime]
    answer: Mapped[str | None]
    wanted_at: Mapped[datetime]
    shortened_at: Mapped[datetime | None]
    refused_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "short_links_wanted",
            "due_at",
            postgresql_where=text("short_url is null and refused_at is null"),
        ),
    )
