"""Billing's own copy of what Stripe told, and the dunning cases."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from services.billing.models.base import Model


class Company(Model):
    """A company as the directory told it."""

    __tablename__ = "companies"
    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    stripe_customer_id: Mapped[str | None]
    legacy_enterprise_id: Mapped[int | None] = mapped_column(BigInteger)
    __table_args__ = (
        Index("companies_by_stripe_customer", "stripe_customer_id"),
        Index("companies_by_email", text("lower(email)")),
    )


class Customer(Model):
    """A Stripe customer. `company_id` is what its metadata or a link says; `told_as` the company, perhaps a
    provisional one, under which facts were first told of it."""

    __tablename__ = "customers"
    stripe_customer_id: Mapped[str] = mapped_column(primary_key=True)
    company_id: Mapped[UUID | None]
    company_seen_at: Mapped[datetime | None]
    told_as: Mapped[UUID | None]
    name: Mapped[str | None]
    email: Mapped[str | None]
    is_deleted: Mapped[bool] = mapped_column(server_default=text("false"))
    seen_at: Mapped[datetime | None]
    digest: Mapped[str | None]
    default_payment_method_id: Mapped[str | None]
    __table_args__ = (
        Index("customers_unmatched", "stripe_customer_id", postgresql_where=text("company_id is null")),
        Index("customers_by_company", "company_id"),
        Index("customers_by_told_as", "told_as"),
    )


class StripeEventKept(Model):
    """A Stripe event as it came, how often, and what it did; not worked yet while `worked_at` is null."""

    __tablename__ = "stripe_events"
    stripe_event_id: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[UUID]
    type: Mapped[str]
    api_version: Mapped[str | None]
    stripe_customer_id: Mapped[str | None]
    body: Mapped[bytes | None]
    created_at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    times_received: Mapped[int] = mapped_column(server_default=text("1"))
    last_offset: Mapped[int | None] = mapped_column(BigInteger)
    worked_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    __table_args__ = (
        Index("stripe_events_by_age", "received_at"),
        Index("stripe_events_by_created_at", "created_at"),
        Index("stripe_events_by_customer", "stripe_customer_id", "created_at"),
    )


class SubscriptionRow(Model):
    """A subscription, Stripe's or one for life; the copy that is furthest on."""

    __tablename__ = "subscriptions"
    subscription_id: Mapped[str] = mapped_column(primary_key=True)
    stripe_customer_id: Mapped[str]
    company_id: Mapped[UUID]
    status: Mapped[str]
    plan_id: Mapped[str | None]
    plan: Mapped[str | None]
    monthly_cents: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None]
    started_at: Mapped[datetime]
    trial_ends_at: Mapped[datetime | None]
    period_ends_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    cancel_reason: Mapped[str | None]
    default_payment_method_id: Mapped[str | None]
    seen_at: Mapped[datetime]
    is_fetched: Mapped[bool]
    __table_args__ = (
        Index("subscriptions_by_customer", "stripe_customer_id"),
        Index("subscriptions_by_company", "company_id"),
    )


class Refresh(Model):
    """Something that only Stripe can tell: to be fetched."""

    __tablename__ = "refreshes"
    kind: Mapped[str] = mapped_column(primary_key=True)
    object_id: Mapped[str] = mapped_column(primary_key=True)
    why: Mapped[str]
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    last_failure: Mapped[str | None]
    __table_args__ = (Index("refreshes_due", "due_at"),)


class LineWish(Model):
    """What is wanted of a company's lines since a fact, and how far the phone platform is with it. `seq` is
    the order of sending, `revision` the fact's own number: of lines, the newest counts."""

    __tablename__ = "line_wishes"
    wish_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    company_id: Mapped[UUID]
    wanted: Mapped[str]
    number: Mapped[str | None]
    episode: Mapped[int | None]
    key: Mapped[str] = mapped_column(unique=True)
    why: Mapped[str]
    since: Mapped[UUID]
    since_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    superseded_by: Mapped[UUID | None]
    body: Mapped[bytes | None]
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    last_answer: Mapped[str | None]
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    first_sent_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    alarmed_at: Mapped[datetime | None]
    traceparent: Mapped[str | None]
    __table_args__ = (
        Index("line_wishes_due", "due_at", postgresql_where=text("state in ('pending', 'sending')")),
        Index(
            "line_wishes_open", "company_id", "seq", postgresql_where=text("state in ('pending', 'sending')")
        ),
        Index("line_wishes_by_company", "company_id", "revision", "seq"),
    )


class Number(Model):
    """A phone number that a company has, or had: it has it while it was given after it was taken back."""

    __tablename__ = "numbers"
    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(primary_key=True)
    assigned_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    legacy_contract_id: Mapped[int | None] = mapped_column(BigInteger)


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
    digest: Mapped[str] = mapped_column(server_default=text("''"))
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
