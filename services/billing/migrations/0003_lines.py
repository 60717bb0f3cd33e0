"""A company's lines and what was decided of them; notices, exemptions and contracts for decisions."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    "alter table companies add column legacy_enterprise_id bigint",
    """
    create table company_lines (
        company_id uuid primary key,
        state text not null check (state in ('normal', 'restricted', 'cut', 'restored')),
        episode integer not null,
        is_unpaid boolean not null,
        changed_at timestamptz,
        policy_version text,
        decided_at timestamptz,
        verdict text,
        why text,
        next_at timestamptz,
        due_at timestamptz,
        lease_until timestamptz,
        fence bigint not null default 0,
        failures integer not null default 0,
        last_failure text,
        causation_id uuid,
        traceparent text
    )
    """,
    "create index company_lines_due on company_lines (due_at) where due_at is not null",
    # What is due to be decided is news for the job that decides.
    "create trigger company_lines_wake after insert or update of due_at on company_lines"
    " for each statement execute function wake()",
    """
    create table line_changes (
        company_id uuid not null,
        episode integer not null,
        state text not null check (state in ('restricted', 'cut', 'restored')),
        at timestamptz not null,
        why text not null,
        policy_version text not null,
        invoice_ids text[] not null,
        notice_delivery_id uuid,
        causation_id uuid,
        primary key (company_id, episode, state)
    )
    """,
    "create index line_changes_by_time on line_changes (at)",
    """
    create table line_questions (
        company_id uuid not null,
        episode integer not null,
        why text not null,
        asked_at timestamptz not null,
        settled_at timestamptz,
        primary key (company_id, episode)
    )
    """,
    "create index line_questions_open on line_questions (asked_at) where settled_at is null",
    """
    create table notices (
        delivery_id uuid primary key,
        company_id uuid not null,
        kind text not null,
        channel text not null,
        invoice_ids text[] not null,
        accepted_at timestamptz,
        bounced_at timestamptz
    )
    """,
    "create index notices_by_company on notices (company_id)",
    """
    create table exemptions (
        company_id uuid not null,
        exempted_at timestamptz not null,
        until timestamptz not null,
        exempted_by text not null,
        reason text not null,
        primary key (company_id, exempted_at)
    )
    """,
    """
    create table lifetimes (
        company_id uuid not null,
        granted_at timestamptz not null,
        is_granted boolean not null,
        granted_by text not null,
        reason text not null,
        primary key (company_id, granted_at)
    )
    """,
    """
    create table line_contracts (
        company_id uuid not null,
        number text not null,
        assigned_at timestamptz,
        legacy_contract_id bigint,
        released_at timestamptz,
        primary key (company_id, number)
    )
    """,
    """
    insert into company_lines (company_id, state, episode, is_unpaid, changed_at)
    select company_id, 'normal', 1, true, min(opened_at) from dunning_cases where state <> 'closed'
    group by company_id
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
