"""Whom nothing, or not everything, is sent to."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Index,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from services.notifications.models.base import Model


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


class Suppression(Model):
    """Whom nothing, or not everything, is sent to. A lifted one stays, as history."""

    __tablename__ = "suppressions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    # An address, an @domain, or a number in E.164.
    target: Mapped[str]
    scope: Mapped[str]
    reason: Mapped[str]
    note: Mapped[str | None]
    added_by: Mapped[str]
    added_at: Mapped[datetime]
    until: Mapped[datetime | None]
    delivery_id: Mapped[UUID | None]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None]
    lift_note: Mapped[str | None]

    __table_args__ = (
        Index(
            "suppressions_in_force",
            "target",
            "scope",
            "reason",
            unique=True,
            postgresql_where=text("lifted_at is null"),
        ),
        Index("suppressions_newest", "added_at", "id"),
        Index("suppressions_by_target", "target", "added_at"),
    )
