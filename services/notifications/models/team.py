"""What the team is told, and short links."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Index,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from services.notifications.models.base import Model


class TeamNotice(Model):
    """Something that the team should know, until a digest tells it; its id is that of the fact."""

    __tablename__ = "team_notices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    topic: Mapped[str]
    company_id: Mapped[UUID | None]
    line: Mapped[str]
    link: Mapped[str | None]
    event_id: Mapped[UUID]
    event_type: Mapped[str]
    traceparent: Mapped[str | None]
    at: Mapped[datetime]
    added_at: Mapped[datetime]
    digest_id: Mapped[UUID | None]
    # When it turned out not to be worth a message.
    dropped_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "team_notices_waiting",
            "added_at",
            postgresql_where=text("digest_id is null and dropped_at is null"),
        ),
        Index("team_notices_by_time", "added_at"),
    )


class TeamDigest(Model):
    """What the team was told at once: by mail (a delivery), and on Slack (the columns `slack_…`)."""

    __tablename__ = "team_digests"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    made_at: Mapped[datetime]
    # How long its first notice waited; it grows while a flood goes on.
    wait_seconds: Mapped[float]
    notices: Mapped[int]
    content: Mapped[dict[str, Any]]
    mail_delivery_id: Mapped[UUID | None]
    slack_status: Mapped[str]
    slack_why: Mapped[str | None]
    slack_answer: Mapped[str | None]
    slack_attempts: Mapped[int] = mapped_column(server_default=text("0"))
    slack_due_at: Mapped[datetime]
    slack_claimed_at: Mapped[datetime | None]
    slack_lease_until: Mapped[datetime | None]
    slack_settled_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]

    __table_args__ = (
        Index("team_digests_by_time", "made_at"),
        Index(
            "team_digests_open",
            "slack_due_at",
            postgresql_where=text("slack_status in ('pending', 'sending')"),
        ),
    )


class ShortLink(Model):
    """An address that may be shortened, by its SHA-256; wanted, then shortened or refused for good."""

    __tablename__ = "short_links"

    url_hash: Mapped[bytes] = mapped_column(primary_key=True)
    url: Mapped[str]
    short_url: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime]
    answer: Mapped[str | None]
    wanted_at: Mapped[datetime]
    shortened_at: Mapped[datetime | None]
    refused_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "short_links_wanted",
            "due_at",
            postgresql_where=text("short_url is null and refused_at is null"),
        ),
    )
