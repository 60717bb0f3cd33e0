"""The scheduler's tables; `migrations/` makes them, a test compares."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Index, SmallInteger, Text, Uuid, text
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


class Slot(Model):
    """One moment of a routine that is not about a company. Its key makes it happen once."""

    __tablename__ = "slots"

    routine: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    told_at: Mapped[datetime]
