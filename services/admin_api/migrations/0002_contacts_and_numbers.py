"""The people of companies, phone numbers, and who had them when."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    """
    create table contacts (
        contact_id uuid primary key,
        company_id uuid not null references companies (company_id),
        first_name text not null,
        last_name text not null,
        email text,
        phone text,
        role text,
        created_at timestamptz not null,
        updated_at timestamptz not null
    )
    """,
    "create index contacts_of_company on contacts (company_id, created_at)",
    """
    create table numbers (
        number text primary key,
        tc bigint generated always as identity unique,
        company_id uuid references companies (company_id),
        stocked_at timestamptz not null,
        assigned_at timestamptz,
        free_from timestamptz not null default '1970-01-01',
        legacy_contract_id bigint
    )
    """,
    "create index numbers_of_company on numbers (company_id) where company_id is not null",
    "create index numbers_free on numbers (number text_pattern_ops) where company_id is null",
    """
    create table assignments (
        number text not null references numbers (number),
        assigned_at timestamptz not null,
        company_id uuid not null,
        legacy_contract_id bigint,
        released_at timestamptz,
        why text,
        released_by text,
        primary key (number, assigned_at)
    )
    """,
    "create index assignments_of_company on assignments (company_id, assigned_at)",
    "create unique index assignments_open on assignments (number) where released_at is null",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
