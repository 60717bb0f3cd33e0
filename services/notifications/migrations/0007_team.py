"""What is forgotten of old deliveries, lists of them, what the team is told, and short links."""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    "alter table deliveries add column forgotten_at timestamptz",
    """
    create index deliveries_to_forget on deliveries (settled_at)
        where settled_at is not null and forgotten_at is null
    """,
    "create index deliveries_newest on deliveries (created_at, id)",
    """
    create table team_notices (
        id uuid primary key,
        topic text not null,
        company_id uuid,
        line text not null,
        link text,
        event_id uuid not null,
        event_type text not null,
        traceparent text,
        at timestamptz not null,
        added_at timestamptz not null,
        digest_id uuid,
        dropped_at timestamptz
    )
    """,
    """
    create index team_notices_waiting on team_notices (added_at)
        where digest_id is null and dropped_at is null
    """,
    "create index team_notices_by_time on team_notices (added_at)",
    """
    create table team_digests (
        id uuid primary key,
        made_at timestamptz not null,
        wait_seconds double precision not null,
        notices integer not null,
        content jsonb not null,
        mail_delivery_id uuid,
        slack_status text not null check (
            slack_status in ('pending', 'sending', 'sent', 'failed', 'expired', 'not_sent')),
        slack_why text,
        slack_answer text,
        slack_attempts integer not null default 0,
        slack_due_at timestamptz not null,
        slack_claimed_at timestamptz,
        slack_lease_until timestamptz,
        slack_settled_at timestamptz,
        expires_at timestamptz not null
    )
    """,
    "create index team_digests_by_time on team_digests (made_at)",
    """
    create index team_digests_open on team_digests (slack_due_at)
        where slack_status in ('pending', 'sending')
    """,
    """
    create table short_links (
        url_hash bytea primary key,
        url text not null,
        short_url text,
        attempts integer not null default 0,
        due_at timestamptz not null,
        answer text,
        wanted_at timestamptz not null,
        shortened_at timestamptz,
        refused_at timestamptz
    )
    """,
    """
    create index short_links_wanted on short_links (due_at)
        where short_url is null and refused_at is null
    """,
    *(
        f"create trigger {table}_wake after insert on {table} for each statement execute function wake()"
        for table in ("team_digests", "short_links")
    ),
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
