"""Stripe's events kept as they came, subscriptions, whom a customer was told as, what must be asked."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    alter table stripe_events
        add column body bytea, add column api_version text, add column stripe_customer_id text,
        add column received_at timestamptz not null default now(),
        add column times_received integer not null default 1, add column last_offset bigint,
        alter column worked_at drop not null, alter column worked_at drop default,
        alter column outcome drop not null
    """,
    "create index stripe_events_by_age on stripe_events (received_at)",
    "create index stripe_events_by_customer on stripe_events (stripe_customer_id, created_at)",
    """
    alter table customers
        alter column seen_at drop not null, add column is_deleted boolean not null default false,
        add column company_seen_at timestamptz, add column told_as uuid, add column digest text
    """,
    "create index customers_unmatched on customers (stripe_customer_id) where company_id is null",
    "create index companies_by_email on companies (lower(email))",
    "alter table invoices add column digest text not null default ''",
    """
    create table subscriptions (
        subscription_id text primary key,
        stripe_customer_id text not null,
        company_id uuid not null,
        status text not null,
        plan_id text,
        plan text,
        monthly_cents bigint,
        currency text,
        started_at timestamptz not null,
        trial_ends_at timestamptz,
        period_ends_at timestamptz,
        ends_at timestamptz,
        ended_at timestamptz,
        cancel_reason text,
        seen_at timestamptz not null,
        is_fetched boolean not null
    )
    """,
    "create index subscriptions_by_customer on subscriptions (stripe_customer_id)",
    "create index subscriptions_by_company on subscriptions (company_id)",
    """
    create table refreshes (
        kind text not null check (kind in ('subscription', 'dispute')),
        object_id text not null,
        why text not null,
        due_at timestamptz not null default now(),
        lease_until timestamptz,
        fence bigint not null default 0,
        failures integer not null default 0,
        last_failure text,
        primary key (kind, object_id)
    )
    """,
    "create index refreshes_due on refreshes (due_at)",
    "create trigger refreshes_wake after insert or update of why on refreshes for each statement"
    " execute function wake()",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
