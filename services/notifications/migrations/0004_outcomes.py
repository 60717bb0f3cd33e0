"""SMS beside mail; what providers say of a message after they took it, and of the address."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "alter table deliveries add column provider_id text",
    "alter table deliveries drop constraint deliveries_status_check",
    """
    alter table deliveries add constraint deliveries_status_check check (
        status in ('pending', 'sending', 'accepted', 'delivered', 'bounced', 'failed', 'suppressed',
                   'unknown', 'expired'))
    """,
    "drop index deliveries_due",
    "create index deliveries_due on deliveries (channel, due_at) where status = 'pending'",
    # When the provider is next asked what became of it; how often it was.
    "alter table deliveries add column ask_at timestamptz",
    "alter table deliveries add column asked integer not null default 0",
    """
    create table provider_events (
        seq bigint generated always as identity primary key,
        provider text not null,
        dedup_key text not null,
        body jsonb not null,
        received_at timestamptz not null,
        status text not null default 'pending' check (status in ('pending', 'done', 'ignored')),
        outcome text,
        delivery_id uuid,
        worked_at timestamptz,
        unique (provider, dedup_key)
    )
    """,
    "create index provider_events_pending on provider_events (seq) where status = 'pending'",
    "create index provider_events_by_delivery on provider_events (delivery_id, seq)",
    """
    create table address_verdicts (
        channel text not null,
        address text not null,
        verdict text not null,
        reason text not null,
        delivery_id uuid,
        first_at timestamptz not null,
        last_at timestamptz not null,
        times integer not null default 1,
        primary key (channel, address, verdict)
    )
    """,
    """
    create trigger provider_events_wake after insert on provider_events
        for each statement execute function wake()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
