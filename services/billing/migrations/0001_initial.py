"""The frame's tables, the copy of Stripe's objects, the dunning cases."""

from alembic import op

from libs.common.frame_tables import FRAME_1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OWN = (
    """
    create table companies (
        company_id uuid primary key,
        name text not null,
        email text not null,
        stripe_customer_id text
    )
    """,
    "create index companies_by_stripe_customer on companies (stripe_customer_id)",
    """
    create table customers (
        stripe_customer_id text primary key,
        company_id uuid,
        name text,
        email text,
        seen_at timestamptz not null
    )
    """,
    """
    create table stripe_events (
        stripe_event_id text primary key,
        event_id uuid not null,
        type text not null,
        created_at timestamptz not null,
        worked_at timestamptz not null default now(),
        outcome text not null
    )
    """,
    """
    create table invoices (
        invoice_id text primary key,
        stripe_customer_id text not null,
        subscription_id text,
        status text not null check (status in ('draft', 'open', 'uncollectible', 'paid', 'void')),
        number text,
        currency text not null,
        amount_due_cents bigint not null,
        amount_remaining_cents bigint not null,
        attempt_count integer not null,
        billing_cycle text not null,
        issued_at timestamptz not null,
        hosted_invoice_url text,
        seen_at timestamptz not null
    )
    """,
    "create index invoices_by_customer on invoices (stripe_customer_id)",
    """
    create table dunning_cases (
        invoice_id text primary key,
        stripe_customer_id text not null,
        company_id uuid not null,
        state text not null check (state in ('attempting', 'waiting', 'exhausted', 'closed')),
        attempt_count integer not null,
        queued_attempt_count integer,
        is_trying boolean not null default false,
        is_paid_seen boolean not null default false,
        closed_why text,
        opened_at timestamptz not null,
        closed_at timestamptz,
        due_at timestamptz not null default now(),
        lease_until timestamptz,
        fence bigint not null default 0,
        failures integer not null default 0,
        last_failure text,
        causation_id uuid not null,
        traceparent text
    )
    """,
    "create index dunning_cases_due on dunning_cases (due_at) where state = 'attempting'",
    "create index dunning_cases_open on dunning_cases (company_id) where state <> 'closed'",
    """
    create table dunning_cycles (
        invoice_id text not null references dunning_cases,
        attempt_count integer not null,
        opened_at timestamptz not null,
        planned_at timestamptz,
        finished_at timestamptz,
        outcome text,
        causation_id uuid not null,
        primary key (invoice_id, attempt_count)
    )
    """,
    # A new cycle is news for the job that drives cases.
    "create trigger dunning_cycles_wake after insert on dunning_cycles for each statement"
    " execute function wake()",
    """
    create table payment_attempts (
        invoice_id text not null,
        attempt_count integer not null,
        payment_method_id text not null,
        position integer not null,
        label text not null,
        fingerprint text,
        state text not null,
        why text,
        decline_code text,
        key_version integer not null default 1,
        server_failures integer not null default 0,
        started_at timestamptz,
        settled_at timestamptz,
        primary key (invoice_id, attempt_count, payment_method_id)
    )
    """,
    "create index payment_attempts_declined on payment_attempts (fingerprint, settled_at)"
    " where decline_code is not null",
)


def upgrade() -> None:
    for statement in (*FRAME_1, *OWN):
        op.execute(statement)
