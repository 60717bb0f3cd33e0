"""Billing's tables: its own copy of what Stripe told, and the dunning cases."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Integer, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from libs.common.frame_tables import add_frame_tables


class Model(DeclarativeBase):
    """Billing's metadata."""

    type_annotation_map = {str: Text, datetime: DateTime(timezone=True)}  # noqa: RUF012 - SQLAlchemy's own way


add_frame_tables(Model.metadata)


class Company(Model):
    """A company as the directory told it."""

    __tablename__ = "companies"
    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    stripe_customer_id: Mapped[str | None]
    __table_args__ = (Index("companies_by_stripe_customer", "stripe_customer_id"),)


class Customer(Model):
    """A Stripe customer; `company_id` is what its metadata says."""

    __tablename__ = "customers"
    stripe_customer_id: Mapped[str] = mapped_column(primary_key=True)
    company_id: Mapped[UUID | None]
    name: Mapped[str | None]
    email: Mapped[str | None]
    seen_at: Mapped[datetime]


class StripeEventNoted(Model):
    """A Stripe event that was worked, and what it did."""

    __tablename__ = "stripe_events"
    stripe_event_id: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[UUID]
    type: Mapped[str]
    created_at: Mapped[datetime]
    worked_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    outcome: Mapped[str]
    __table_args__ = (Index("stripe_events_by_created_at", "created_at"),)


class InvoiceRow(Model):
    """An invoice; `status` only moves forward, whatever order events come in."""

    __tablename__ = "invoices"
    invoice_id: Mapped[str] = mapped_column(primary_key=True)
    stripe_customer_id: Mapped[str]
    subscription_id: Mapped[str | None]
    status: Mapped[str]
    number: Mapped[str | None]
    currency: Mapped[str]
    amount_due_cents: Mapped[int] = mapped_column(BigInteger)
    amount_remaining_cents: Mapped[int] = mapped_column(BigInteger)
    attempt_count: Mapped[int]
    billing_cycle: Mapped[str]
    issued_at: Mapped[datetime]
    hosted_invoice_url: Mapped[str | None]
    seen_at: Mapped[datetime]
    __table_args__ = (Index("invoices_by_customer", "stripe_customer_id"),)


class DunningCase(Model):
    """The case of one unpaid invoice. `fence` grows with each claim: an old claimant can write no more."""

    __tablename__ = "dunning_cases"
    invoice_id: Mapped[str] = mapped_column(primary_key=True)
    stripe_customer_id: Mapped[str]
    company_id: Mapped[UUID]
    state: Mapped[str]
    attempt_count: Mapped[int]
    queued_attempt_count: Mapped[int | None]
    is_trying: Mapped[bool] = mapped_column(server_default=text("false"))
    is_paid_seen: Mapped[bool] = mapped_column(server_default=text("false"))
    closed_why: Mapped[str | None]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    last_failure: Mapped[str | None]
    causation_id: Mapped[UUID]
    traceparent: Mapped[str | None]
    __table_args__ = (
        Index("dunning_cases_due", "due_at", postgresql_where=text("state = 'attempting'")),
        Index("dunning_cases_open", "company_id", postgresql_where=text("state <> 'closed'")),
    )


class DunningCycle(Model):
    """One attempt of Stripe's own schedule: the unique (invoice, attempt_count) that opens a cycle once."""

    __tablename__ = "dunning_cycles"
    invoice_id: Mapped[str] = mapped_column(ForeignKey("dunning_cases.invoice_id"), primary_key=True)
    attempt_count: Mapped[int] = mapped_column(primary_key=True)
    opened_at: Mapped[datetime]
    planned_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    causation_id: Mapped[UUID]


class PaymentAttempt(Model):
    """One saved method of a cycle: tried once, or skipped with why."""

    __tablename__ = "payment_attempts"
    invoice_id: Mapped[str] = mapped_column(primary_key=True)
    attempt_count: Mapped[int] = mapped_column(primary_key=True)
    payment_method_id: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    label: Mapped[str]
    fingerprint: Mapped[str | None]
    state: Mapped[str]
    why: Mapped[str | None]
    decline_code: Mapped[str | None]
    key_version: Mapped[int] = mapped_column(server_default=text("1"))
    server_failures: Mapped[int] = mapped_column(server_default=text("0"))
    started_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    __table_args__ = (
        Index(
            "payment_attempts_declined",
            "fingerprint",
            "settled_at",
            postgresql_where=text("decline_code is not null"),
        ),
    )


class StripeWalk(Model):
    """The walk through Stripe's list of events: one row, taken on by one process at a time.

    `reached_at` is how far the last one came, `since` where the one under way is; `wanted_at` asks for one.
    """

    __tablename__ = "stripe_walk"
    account: Mapped[str] = mapped_column(primary_key=True)
    stage: Mapped[str] = mapped_column(server_default=text("'idle'"))
    wanted_at: Mapped[datetime | None]
    causation_id: Mapped[UUID | None]
    traceparent: Mapped[str | None]
    reached_at: Mapped[datetime | None]
    newest_at: Mapped[datetime | None]
    began_at: Mapped[datetime | None]
    since: Mapped[datetime | None]
    length_seconds: Mapped[int] = mapped_column(server_default=text("3600"))
    listed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    invoices_after: Mapped[str | None]
    finished_at: Mapped[datetime | None]
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    last_failure: Mapped[str | None]


class MissedEvent(Model):
    """An event that Stripe lists and billing had not heard, and what became of it."""

    __tablename__ = "missed_events"
    stripe_event_id: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[UUID]
    type: Mapped[str]
    created_at: Mapped[datetime]
    found_at: Mapped[datetime]
    outcome: Mapped[str | None]
    __table_args__ = (Index("missed_events_open", "event_id", postgresql_where=text("outcome is null")),)


class SubscriptionCheck(Model):
    """A subscription to be compared with Stripe's, once for each day that asks for it."""

    __tablename__ = "subscription_checks"
    subscription_id: Mapped[str] = mapped_column(primary_key=True)
    due_on: Mapped[date] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    causation_id: Mapped[UUID]
    traceparent: Mapped[str | None]
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    last_failure: Mapped[str | None]
    checked_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    __table_args__ = (
        Index("subscription_checks_due", "due_at", postgresql_where=text("checked_at is null")),
    )
