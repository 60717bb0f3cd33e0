"""Who may come in, and what was done: accounts, sessions, throttles, API keys, the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Integer, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.admin_api.models.directory import Model


class Admin(Model):
    """Somebody of the company's own people. `email` is in lower case; secrets of TOTP are sealed."""

    __tablename__ = "admins"

    admin_id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    totp_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Shown as a QR code, not yet confirmed by a code.
    totp_offered: Mapped[bytes | None] = mapped_column(LargeBinary)
    # The last thirty seconds whose code was used: no code counts twice.
    totp_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    signed_in_at: Mapped[datetime | None]


class AdminSession(Model):
    """One sign-in, in one browser or program, until it is revoked or over."""

    __tablename__ = "admin_sessions"

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    admin_id: Mapped[UUID] = mapped_column(ForeignKey("admins.admin_id"))
    # page or api.
    carrier: Mapped[str]
    address: Mapped[str]
    agent: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_why: Mapped[str | None]

    __table_args__ = (Index("admin_sessions_of_admin", "admin_id", "created_at"),)


class RefreshToken(Model):
    """The hash of a refresh token: each is used once, the next one takes its place."""

    __tablename__ = "admin_refresh_tokens"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("admin_sessions.session_id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (Index("admin_refresh_tokens_of_session", "session_id"),)


class LoginThrottle(Model):
    """Tries of a window: of an account (`account:…`, hashed) or of an address (`address:…`)."""

    __tablename__ = "login_throttles"

    subject: Mapped[str] = mapped_column(primary_key=True)
    tries: Mapped[int] = mapped_column(Integer)
    until: Mapped[datetime]

    __table_args__ = (Index("login_throttles_by_time", "until"),)


class ApiKey(Model):
    """A key of the website, the phone platform or another program: its hash, and what it opens."""

    __tablename__ = "api_keys"

    key_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    # What a key begins with, to tell one from another in a list; it opens nothing.
    start: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str | None]


class Audit(Model):
    """What somebody did; rows are only added, a trigger refuses everything else."""

    __tablename__ = "audit"

    audit_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    who: Mapped[str]
    role: Mapped[str | None]
    admin_id: Mapped[UUID | None]
    session_id: Mapped[UUID | None]
    address: Mapped[str | None]
    action: Mapped[str]
    subject: Mapped[str | None]
    company_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))

    __table_args__ = (
        Index("audit_by_action", "action", "audit_id"),
        Index("audit_by_who", "who", "audit_id"),
        Index("audit_of_subject", "subject", "audit_id"),
        Index("audit_of_company", "company_id", "audit_id", postgresql_where=text("company_id is not null")),
        Index("audit_by_time", "at", "audit_id"),
    )
