"""A company's lines, and what decisions about them are made of."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from services.billing.models.base import Model


class CompanyLines(Model):
    """A company's lines: where they stand, what was decided last, and the claim of who decides next.

    `due_at` null: nothing is to be decided.
    """

    __tablename__ = "company_lines"
    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str]
    episode: Mapped[int]
    is_unpaid: Mapped[bool]
    changed_at: Mapped[datetime | None]
    policy_version: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    verdict: Mapped[str | None]
    why: Mapped[str | None]
    next_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    last_failure: Mapped[str | None]
    causation_id: Mapped[UUID | None]
    traceparent: Mapped[str | None]
    __table_args__ = (Index("company_lines_due", "due_at", postgresql_where=text("due_at is not null")),)


class LineChange(Model):
    """What was done to a company's lines, once an episode each."""

    __tablename__ = "line_changes"
    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    episode: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    why: Mapped[str]
    policy_version: Mapped[str]
    invoice_ids: Mapped[list[str]] = mapped_column(ARRAY(Text))
    notice_delivery_id: Mapped[UUID | None]
    causation_id: Mapped[UUID | None]
    __table_args__ = (Index("line_changes_by_time", "at"),)


class LineQuestion(Model):
    """A company that only a person can decide about; settled when it paid, or when it could be decided."""

    __tablename__ = "line_questions"
    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    episode: Mapped[int] = mapped_column(primary_key=True)
    why: Mapped[str]
    asked_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    __table_args__ = (Index("line_questions_open", "asked_at", postgresql_where=text("settled_at is null")),)


class Notice(Model):
    """An unpaid mail, as far as its delivery was heard of."""

    __tablename__ = "notices"
    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    kind: Mapped[str]
    channel: Mapped[str]
    invoice_ids: Mapped[list[str]] = mapped_column(ARRAY(Text))
    accepted_at: Mapped[datetime | None]
    bounced_at: Mapped[datetime | None]
    __table_args__ = (Index("notices_by_company", "company_id"),)


class Exemption(Model):
    """Somebody's word that a company is to be spared until then; the last one said counts."""

    __tablename__ = "exemptions"
    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    exempted_at: Mapped[datetime] = mapped_column(primary_key=True)
    until: Mapped[datetime]
    exempted_by: Mapped[str]
    reason: Mapped[str]


class Lifetime(Model):
    """Somebody's word that a company is, or is no longer, subscribed for life; the last one said counts."""

    __tablename__ = "lifetimes"
    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    granted_at: Mapped[datetime] = mapped_column(primary_key=True)
    is_granted: Mapped[bool]
    granted_by: Mapped[str]
    reason: Mapped[str]


class LineContract(Model):
    """A phone number of a company and its contract in the old system, for the lines of the log."""

    __tablename__ = "line_contracts"
    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(primary_key=True)
    assigned_at: Mapped[datetime | None]
    legacy_contract_id: Mapped[int | None] = mapped_column(BigInteger)
    released_at: Mapped[datetime | None]
