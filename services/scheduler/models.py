"""The scheduler's tables; `migrations/` makes them, a test compares."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, Index, SmallInteger, Text, Uuid, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from libs.common.frame_tables import add_frame_tables


class Model(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own shape
        str: Text,
        datetime: DateTime(timezone=True),
        UUID: Uuid,
    }


add_frame_tables(Model.metadata)


class Company(Model):
    """What was heard of a company. A row may begin with its subscription: order between topics is free."""

    __tablename__ = "companies"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    email: Mapped[str | None]
    registered_at: Mapped[datetime | None]
    # The telling that name, email and registered_at are from; the higher one wins.
    directory_revision: Mapped[int | None] = mapped_column(BigInteger)
    # The fact that told of the registration, and its trace: what a step that becomes due is caused by.
    registered_event_id: Mapped[UUID | None]
    traceparent: Mapped[str | None]
    subscribed_at: Mapped[datetime | None]
    # Steps of the sign-up routine already told or skipped: the next one's position.
    signup_steps_decided: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))

    __table_args__ = (
        Index(
            "companies_signup",
            "signup_steps_decided",
            "registered_at",
            "company_id",
            postgresql_where=text("subscribed_at is null and registered_at is not null"),
        ),
    )


class CustomerLink(Model):
    """A company under which a Stripe customer was known before anybody knew whose it was."""

    __tablename__ = "customer_links"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    provisional_company_id: Mapped[UUID] = mapped_column(primary_key=True)


class UnpaidInvoice(Model):
    """An invoice that billing told as unpaid. A closed one stays, so that late news does not reopen it."""

    __tablename__ = "unpaid_invoices"

    invoice_id: Mapped[str] = mapped_column(primary_key=True)
    company_id: Mapped[UUID | None]
    # The first telling; whatever follows is as the last one said.
    unpaid_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    currency: Mapped[str | None]
    customer_name: Mapped[str | None]
    customer_email: Mapped[str | None]
    told_at: Mapped[datetime | None]
    event_id: Mapped[UUID | None]
    traceparent: Mapped[str | None]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "unpaid_invoices_open",
            "company_id",
            "unpaid_at",
            "invoice_id",
            postgresql_where=text("closed_at is null"),
        ),
    )


class Subscription(Model):
    """A subscription that was heard of, and the last day for which its check was told."""

    __tablename__ = "subscriptions"

    subscription_id: Mapped[str] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    checked_on: Mapped[date] = mapped_column(server_default=text("'1970-01-01'"))

    __table_args__ = (
        Index(
            "subscriptions_to_check",
            "checked_on",
            "subscription_id",
            postgresql_where=text("ended_at is null"),
        ),
    )


class Occurrence(Model):
    """One moment of one step for one company: told, or skipped with why. Its key makes it happen once."""

    __tablename__ = "occurrences"

    routine: Mapped[str] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    status: Mapped[str]
    why: Mapped[str | None]
    decided_at: Mapped[datetime]


class Routine(Model):
    """Up to when a routine's moments are planned."""

    __tablename__ = "routines"

    routine: Mapped[str] = mapped_column(primary_key=True)
    planned_until: Mapped[datetime]
    is_on: Mapped[bool] = mapped_column(server_default=text("true"))
    # When a run of it was last told to whoever watches.
    ran_told_at: Mapped[datetime | None]


class Run(Model):
    """One moment of a routine: planned once, claimed, worked, or skipped with why."""

    __tablename__ = "runs"

    routine: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    trigger: Mapped[str]
    # By hand and of the past: who asked for it, in which words.
    triggered_by: Mapped[str | None]
    triggered_why: Mapped[str | None]
    status: Mapped[str]
    why: Mapped[str | None]
    # Rises with every claim; an older claim's writes are refused.
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    lease_until: Mapped[datetime | None]
    try_at: Mapped[datetime]
    looked_at: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    told: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    skipped: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    planned_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    # By the clock of whoever wrote last: one that lies ahead shows that a clock went back.
    touched_at: Mapped[datetime]

    __table_args__ = (
        Index("runs_open", "due_at", postgresql_where=text("status in ('planned', 'running')")),
    )


class Pause(Model):
    """A routine is left alone from a moment until another one, or until somebody resumes it."""

    __tablename__ = "pauses"

    pause_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    routine: Mapped[str]
    from_at: Mapped[datetime]
    until_at: Mapped[datetime | None]
    paused_by: Mapped[str]
    why: Mapped[str]
    resumed_at: Mapped[datetime | None]
    resumed_by: Mapped[str | None]

    __table_args__ = (Index("pauses_of_routine", "routine", "from_at"),)
