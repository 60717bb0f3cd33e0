"""The frame's tables, what was heard of companies, and what the clock told."""

from alembic import op

from libs.common.frame_tables import FRAME_1

revision = "0001"
down_revision = None

TABLES = (
    """
    create table companies (
        company_id uuid primary key,
        name text,
        email text,
        registered_at timestamptz,
        directory_revision bigint,
        registered_event_id uuid,
        traceparent text,
        subscribed_at timestamptz,
        signup_steps_decided smallint not null default 0,
        check (registered_at is null or (name is not null and email is not null))
    )
    """,
    """
    create index companies_signup on companies (signup_steps_decided, registered_at, company_id)
        where subscribed_at is null and registered_at is not null
    """,
    """
    create table customer_links (
        company_id uuid not null,
        provisional_company_id uuid not null,
        primary key (company_id, provisional_company_id)
    )
    """,
    """
    create table occurrences (
        routine text not null,
        company_id uuid not null,
        step text not null,
        due_at timestamptz not null,
        expires_at timestamptz not null,
        status text not null check (status in ('told', 'skipped')),
        why text check ((why is null) = (status = 'told')),
        decided_at timestamptz not null,
        primary key (routine, company_id, step)
    )
    """,
)


def upgrade() -> None:
    for statement in (*FRAME_1, *TABLES):
        op.execute(statement)
