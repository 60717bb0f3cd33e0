"""What the walk through Stripe's list of events keeps, and what is compared with Stripe."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from services.billing.models.base import Model


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
