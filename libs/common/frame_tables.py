"""The tables that every service has in its own schema: inbox, outbox, streams."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)

_NOW = text("now()")


def add_frame_tables(metadata: MetaData) -> None:
    """Declare them for the drift test; the statements are in `inbox.py` and `outbox.py`."""
    _inbox(metadata)
    _outbox(metadata)
    Table(
        "streams",
        metadata,
        Column("key", Text, primary_key=True),
        Column("revision", BigInteger, nullable=False),
    )


def _inbox(metadata: MetaData) -> None:
    inbox = Table(
        "inbox",
        metadata,
        Column("seq", BigInteger, Identity(always=True), primary_key=True),
        Column("event_id", Uuid, nullable=False, unique=True),
        Column("type", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("offset", BigInteger, nullable=False),
        Column("data", LargeBinary, nullable=False),
        Column("revision", BigInteger),
        Column("occurred_at", DateTime(timezone=True), nullable=False),
        Column("traceparent", Text),
        Column("causation_id", Uuid),
        Column("status", Text, nullable=False),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("due_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
        Column("cause", Text),
        Column("received_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
        Column("done_at", DateTime(timezone=True)),
    )
    is_pending = text("status = 'pending'")
    Index("inbox_pending_by_key", inbox.c.key, inbox.c.seq, postgresql_where=is_pending)
    Index("inbox_pending_by_seq", inbox.c.seq, postgresql_where=is_pending)
    Index("inbox_dead", inbox.c.seq, postgresql_where=text("status = 'dead'"))


def _outbox(metadata: MetaData) -> None:
    outbox = Table(
        "outbox",
        metadata,
        Column("seq", BigInteger, Identity(always=True), primary_key=True),
        Column("event_id", Uuid, nullable=False, unique=True),
        Column("topic", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("data", LargeBinary, nullable=False),
        Column("occurred_at", DateTime(timezone=True), nullable=False),
        Column("traceparent", Text, nullable=False),
        Column("causation_id", Uuid),
        Column("told_at", DateTime(timezone=True)),
    )
    Index("outbox_untold", outbox.c.seq, postgresql_where=text("told_at is null"))
    Index("outbox_by_key", outbox.c.key, outbox.c.revision)


FRAME_1 = (
    """
    create table streams (key text primary key, revision bigint not null)
        with (fillfactor = 70)
    """,
    """
    create table inbox (
        seq bigint generated always as identity primary key,
        event_id uuid not null unique,
        type text not null,
        source text not null,
        key text not null,
        topic text not null,
        partition integer not null,
        "offset" bigint not null,
        data bytea not null,
        revision bigint,
        occurred_at timestamptz not null,
        traceparent text,
        causation_id uuid,
        status text not null check (status in ('pending', 'done', 'dead')),
        attempts integer not null default 0,
        due_at timestamptz not null default now(),
        cause text,
        received_at timestamptz not null default now(),
        done_at timestamptz
    )
    """,
    "create index inbox_pending_by_key on inbox (key, seq) where status = 'pending'",
    "create index inbox_pending_by_seq on inbox (seq) where status = 'pending'",
    "create index inbox_dead on inbox (seq) where status = 'dead'",
    """
    create table outbox (
        seq bigint generated always as identity primary key,
        event_id uuid not null unique,
        topic text not null,
        type text not null,
        key text not null,
        revision bigint not null,
        data bytea not null,
        occurred_at timestamptz not null,
        traceparent text not null,
        causation_id uuid,
        told_at timestamptz
    )
    """,
    "create index outbox_untold on outbox (seq) where told_at is null",
    "create index outbox_by_key on outbox (key, revision)",
    # Wakes the jobs that rest on a table: the payload is the table's name, the channel the schema's.
    """
    create function wake() returns trigger language plpgsql as $$
    begin
        perform pg_notify('relance_' || tg_table_schema, tg_table_name);
        return null;
    end
    $$
    """,
    "create trigger outbox_wakes after insert on outbox for each statement execute function wake()",
    "create trigger inbox_wakes after insert on inbox for each statement execute function wake()",
)
"""First version of the frame's tables: the statements of a service's first migration."""
