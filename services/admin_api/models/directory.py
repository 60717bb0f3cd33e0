"""The directory and the read models."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, Integer, Text, Uuid, text
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


class Contact(Model):
    """Somebody of a company."""

    __tablename__ = "contacts"

    contact_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    first_name: Mapped[str]
    last_name: Mapped[str]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    role: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (Index("contacts_of_company", "company_id", "created_at"),)


class Number(Model):
    """A phone number of ours: a company's, or free from a moment on. `tc` is the line's short reference."""

    __tablename__ = "numbers"

    number: Mapped[str] = mapped_column(primary_key=True)
    tc: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    company_id: Mapped[UUID | None] = mapped_column(ForeignKey("companies.company_id"))
    stocked_at: Mapped[datetime]
    assigned_at: Mapped[datetime | None]
    free_from: Mapped[datetime] = mapped_column(server_default=text("'1970-01-01'"))
    legacy_contract_id: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        Index("numbers_of_company", "company_id", postgresql_where=text("company_id is not null")),
        Index(
            "numbers_free",
            "number",
            postgresql_ops={"number": "text_pattern_ops"},
            postgresql_where=text("company_id is null"),
        ),
    )


class Assignment(Model):
    """Who had a number, from when to when; rows are only added and closed."""

    __tablename__ = "assignments"

    number: Mapped[str] = mapped_column(ForeignKey("numbers.number"), primary_key=True)
    assigned_at: Mapped[datetime] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    legacy_contract_id: Mapped[int | None] = mapped_column(BigInteger)
    released_at: Mapped[datetime | None]
    why: Mapped[str | None]
    released_by: Mapped[str | None]

    __table_args__ = (
        Index("assignments_of_company", "company_id", "assigned_at"),
        Index("assignments_open", "number", unique=True, postgresql_where=text("released_at is null")),
    )


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
    # The fact that made it.
    cause_id: Mapped[UUID | None]

    __table_args__ = (
        Index("deliveries_of_company", "company_id", "first_at", "delivery_id"),
        Index("deliveries_by_time", "first_at", "delivery_id"),
        Index("deliveries_by_kind", "kind", "first_at", "delivery_id"),
        Index("deliveries_by_status", "status", "first_at", "delivery_id"),
    )


class CompanyFact(Model):
    """Read model: a fact told of a company, in a sentence without personal data, and the fact that caused
    it."""

    __tablename__ = "company_facts"

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    type: Mapped[str]
    at: Mapped[datetime]
    said: Mapped[str]
    cause_id: Mapped[UUID | None]
    traceparent: Mapped[str | None]

    __table_args__ = (Index("company_facts_of_company", "company_id", "at", "event_id"),)


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


class Routine(Model):
    """Read model: a routine of the scheduler, and until when its next run must be heard of."""

    __tablename__ = "routines"

    routine: Mapped[str] = mapped_column(primary_key=True)
    # None: nobody waits for it.
    expected_by: Mapped[datetime | None]
    # done, failed, on, off, paused or resumed.
    what: Mapped[str]
    at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(BigInteger)
    event_id: Mapped[UUID]
    # The moment that has passed in silence and was alarmed about.
    alarmed_for: Mapped[datetime | None]
