"""Saved payment methods, as far as Stripe told of them."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from services.billing.models.base import Model


class PaymentMethodRow(Model):
    """`expires_on` is a card's last good day; `told_expires_on` the one that its customer was told of."""

    __tablename__ = "payment_methods"
    payment_method_id: Mapped[str] = mapped_column(primary_key=True)
    stripe_customer_id: Mapped[str | None]
    label: Mapped[str]
    fingerprint: Mapped[str | None]
    expires_on: Mapped[date | None]
    is_detached: Mapped[bool]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    digest: Mapped[str]
    told_expires_on: Mapped[date | None]
    __table_args__ = (
        Index("payment_methods_by_customer", "stripe_customer_id"),
        Index(
            "payment_methods_expiring",
            "expires_on",
            "payment_method_id",
            postgresql_where=text("not is_detached and told_expires_on is distinct from expires_on"),
        ),
    )


class CardCheck(Model):
    """A morning on which the cards that expire soon are looked for, and how far that came."""

    __tablename__ = "card_checks"
    due_on: Mapped[date] = mapped_column(primary_key=True)
    causation_id: Mapped[UUID]
    traceparent: Mapped[str | None]
    after_expires_on: Mapped[date | None]
    after_id: Mapped[str | None]
    told: Mapped[int] = mapped_column(server_default=text("0"))
    finished_at: Mapped[datetime | None]
    __table_args__ = (Index("card_checks_open", "due_on", postgresql_where=text("finished_at is null")),)
