"""The frame's tables, deliveries with their history, and what is known of companies."""

from alembic import op

from libs.common.frame_tables import FRAME_1

revision = "0001"
down_revision = None

TABLES = (
    # A fence is never given twice, not even by a claim that was rolled back.
    "create sequence delivery_fences",
    """
    create table deliveries (
        id uuid primary key,
        dedup_key text not null unique,
        company_id uuid not null,
        kind text not null,
        category text not null,
        channel text not null,
        recipient text,
        recipient_name text not null,
        invoice_id text,
        invoice_ids text[] not null,
        billing_cycle text,
        stage integer,
        context jsonb not null,
        status text not null check (
            status in ('pending', 'sending', 'accepted', 'failed', 'suppressed', 'unknown')),
        why text,
        attempts integer not null default 0,
        due_at timestamptz not null,
        expires_at timestamptz not null,
        lease_until timestamptz,
        fence bigint not null default 0,
        message_id text,
        answer text,
        content bytea,
        event_id uuid not null,
        event_type text not null,
        traceparent text,
        created_at timestamptz not null,
        sending_at timestamptz,
        settled_at timestamptz
    )
    """,
    "create index deliveries_due on deliveries (due_at) where status = 'pending'",
    "create index deliveries_pending_by_company on deliveries (company_id) where status = 'pending'",
    "create index deliveries_sending on deliveries (lease_until) where status = 'sending'",
    "create index deliveries_unknown on deliveries (created_at) where status = 'unknown'",
    "create index deliveries_by_company on deliveries (company_id, created_at)",
    """
    create table delivery_states (
        seq bigint generated always as identity primary key,
        delivery_id uuid not null references deliveries (id),
        status text not null,
        why text,
        answer text,
        at timestamptz not null
    )
    """,
    "create index delivery_states_by_delivery on delivery_states (delivery_id, seq)",
    """
    create table listed_invoices (
        kind text not null,
        invoice_id text not null,
        billing_cycle text not null,
        stage integer not null,
        delivery_id uuid not null references deliveries (id),
        primary key (kind, invoice_id, billing_cycle, stage)
    )
    """,
    "create index listed_invoices_by_delivery on listed_invoices (delivery_id)",
    """
    create table open_invoices (
        company_id uuid not null,
        invoice_id text not null,
        number text,
        amount_remaining_cents bigint,
        currency text,
        billing_cycle text,
        issued_at timestamptz,
        hosted_invoice_url text,
        revision bigint not null default 0,
        closed_at timestamptz,
        primary key (company_id, invoice_id),
        check (closed_at is not null or (amount_remaining_cents is not null and currency is not null
            and billing_cycle is not null and issued_at is not null))
    )
    """,
    """
    create table subscribed_companies (
        company_id uuid primary key,
        started_at timestamptz not null
    )
    """,
    "create trigger deliveries_wake after insert on deliveries for each statement execute function wake()",
)


def upgrade() -> None:
    for statement in (*FRAME_1, *TABLES):
        op.execute(statement)
