"""The walk through Stripe's list of events, and what it found missing."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table stripe_walk (
        account text primary key,
        stage text not null default 'idle' check (stage in ('idle', 'events', 'invoices')),
        wanted_at timestamptz,
        causation_id uuid,
        traceparent text,
        reached_at timestamptz,
        newest_at timestamptz,
        began_at timestamptz,
        since timestamptz,
        length_seconds integer not null default 3600,
        listed bigint not null default 0,
        invoices_after text,
        finished_at timestamptz,
        due_at timestamptz not null default now(),
        lease_until timestamptz,
        fence bigint not null default 0,
        failures integer not null default 0,
        last_failure text
    )
    """,
    "insert into stripe_walk (account) values ('stripe')",
    "create trigger stripe_walk_wakes after update of wanted_at on stripe_walk for each statement"
    " execute function wake()",
    """
    create table missed_events (
        stripe_event_id text primary key,
        event_id uuid not null,
        type text not null,
        created_at timestamptz not null,
        found_at timestamptz not null,
        outcome text check (outcome in ('recovered', 'came_after_all', 'too_large'))
    )
    """,
    "create index missed_events_open on missed_events (event_id) where outcome is null",
    # Counts what was received lately, out of the millions that were ever.
    "create index stripe_events_by_created_at on stripe_events (created_at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
