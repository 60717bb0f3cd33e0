"""What is known of companies: whom to write to, what they owe, subscribe to and have."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from services.notifications.models.base import Model


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


class SubscribedCompany(Model):
    """A company that has subscribed needs no more sign-up mails."""

    __tablename__ = "subscribed_companies"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]


class Subscription(Model):
    """A subscription that was heard of: once it began no trial mail is wanted, once it ended no welcome."""

    __tablename__ = "subscriptions"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    subscription_id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class Number(Model):
    """A phone number that a company has or had; released once that is the later of the two."""

    __tablename__ = "numbers"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(primary_key=True)
    assigned_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
