"""The admin API's tables; `migrations/` makes them, a test compares."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Index, Integer, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
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
    """The directory: who a company is. Owned here, told to the others."""

    __tablename__ = "companies"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    phone: Mapped[str | None]
    stripe_customer_id: Mapped[str | None] = mapped_column(unique=True)
    legacy_enterprise_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    registered_at: Mapped[datetime]
    created_at: Mapped[datetime]


class Delivery(Model):
    """Read model: what became of each delivery, by the last word of notifications."""

    __tablename__ = "deliveries"

    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    kind: Mapped[str]
    channel: Mapped[str]
    billing_cycle: Mapped[str | None]
    invoice_ids: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # The earliest moment told of it: unlike the state's own, it stays, so that pages do not shift.
    first_at: Mapped[datetime]
    # The state: these are from one telling, the one with the highest revision.
    status: Mapped[str]
    at: Mapped[datetime]
    detail: Mapped[str]
    revision: Mapped[int] = mapped_column(BigInteger)
    event_id: Mapped[UUID]
    traceparent: Mapped[str | None]

    __table_args__ = (Index("deliveries_of_company", "company_id", "first_at", "delivery_id"),)


class SetAside(Model):
    """Read model: events that a service could not work."""

    __tablename__ = "set_aside"

    service: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    type: Mapped[str]
    key: Mapped[str]
    cause: Mapped[str]
    attempts: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime]
    traceparent: Mapped[str | None]

    __table_args__ = (Index("set_aside_by_time", "at", "event_id", "service"),)
