"""Runs of routines: planned, claimed, finished; pauses; and from where each routine goes on.

They take the place of `slots`: what the reconciliation had told is where it goes on from.
"""

from alembic import op

revision = "0006"
down_revision = "0004"

STATEMENTS = (
    """
    create table routines (
        routine text primary key,
        planned_until timestamptz not null,
        is_on boolean not null default true,
        ran_told_at timestamptz
    )
    """,
    """
    create table runs (
        routine text not null,
        due_at timestamptz not null,
        trigger text not null check (trigger in ('schedule', 'manual', 'backfill')),
        triggered_by text,
        triggered_why text,
        status text not null check (status in ('planned', 'running', 'done', 'skipped', 'failed')),
        why text check ((why is null) = (status not in ('skipped', 'failed'))),
        fence bigint not null default 0,
        attempts integer not null default 0,
        lease_until timestamptz check ((lease_until is null) = (status <> 'running')),
        try_at timestamptz not null,
        looked_at bigint not null default 0,
        told bigint not null default 0,
        skipped bigint not null default 0,
        planned_at timestamptz not null,
        started_at timestamptz,
        finished_at timestamptz,
        touched_at timestamptz not null,
        primary key (routine, due_at)
    )
    """,
    "create index runs_open on runs (due_at) where status in ('planned', 'running')",
    """
    create table pauses (
        pause_id bigint generated always as identity primary key,
        routine text not null,
        from_at timestamptz not null,
        until_at timestamptz,
        paused_by text not null,
        why text not null,
        resumed_at timestamptz,
        resumed_by text
    )
    """,
    "create index pauses_of_routine on pauses (routine, from_at)",
    "create trigger runs_wake after insert on runs for each statement execute function wake()",
    "insert into routines (routine, planned_until) select routine, max(due_at) from slots group by routine",
    "drop table slots",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
