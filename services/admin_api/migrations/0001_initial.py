"""The frame's tables, the directory, and the first read models."""

from alembic import op

from libs.common.frame_tables import FRAME_1

revision = "0001"
down_revision = None

TABLES = (
    """
    create table companies (
        company_id uuid primary key,
        name text not null,
        email text not null,
        phone text,
        stripe_customer_id text unique,
        legacy_enterprise_id bigint unique,
        registered_at timestamptz not null,
        created_at timestamptz not null
    )
    """,
    """
    create table deliveries (
        delivery_id uuid primary key,
        company_id uuid not null,
        kind text not null,
        channel text not null,
        billing_cycle text,
        invoice_ids text[] not null,
        first_at timestamptz not null,
        status text not null check (status in ('accepted', 'failed', 'suppressed', 'unknown')),
        at timestamptz not null,
        detail text not null,
        revision bigint not null,
        event_id uuid not null,
        traceparent text
    )
    """,
    "create index deliveries_of_company on deliveries (company_id, first_at, delivery_id)",
    """
    create table set_aside (
        service text not null,
        event_id uuid not null,
        type text not null,
        key text not null,
        cause text not null,
        attempts integer not null,
        at timestamptz not null,
        traceparent text,
        primary key (service, event_id)
    )
    """,
    "create index set_aside_by_time on set_aside (at, event_id, service)",
)


def upgrade() -> None:
    for statement in (*FRAME_1, *TABLES):
        op.execute(statement)
