"""What is wanted of companies' lines, which numbers they have; whose customers a company's are."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table line_wishes (
        wish_id uuid primary key,
        seq bigint generated always as identity unique,
        company_id uuid not null,
        wanted text not null check (wanted in ('normal', 'restricted', 'cut', 'number_released')),
        number text,
        episode integer,
        key text not null unique,
        why text not null,
        since uuid not null,
        since_at timestamptz not null,
        revision bigint not null,
        state text not null check (state in ('pending', 'sending', 'confirmed', 'refused', 'superseded')),
        superseded_by uuid,
        body bytea,
        tries integer not null default 0,
        last_answer text,
        due_at timestamptz not null default now(),
        lease_until timestamptz,
        fence bigint not null default 0,
        created_at timestamptz not null default now(),
        first_sent_at timestamptz,
        accepted_at timestamptz,
        settled_at timestamptz,
        alarmed_at timestamptz,
        traceparent text,
        check ((number is null) = (wanted <> 'number_released'))
    )
    """,
    "create index line_wishes_due on line_wishes (due_at) where state in ('pending', 'sending')",
    "create index line_wishes_open on line_wishes (company_id, seq) where state in ('pending', 'sending')",
    "create index line_wishes_by_company on line_wishes (company_id, revision, seq)",
    "create trigger line_wishes_wake after insert on line_wishes for each statement execute function wake()",
    """
    create table numbers (
        company_id uuid not null,
        number text not null,
        assigned_at timestamptz,
        released_at timestamptz,
        legacy_contract_id bigint,
        primary key (company_id, number)
    )
    """,
    "create index customers_by_company on customers (company_id)",
    "create index customers_by_told_as on customers (told_as)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
