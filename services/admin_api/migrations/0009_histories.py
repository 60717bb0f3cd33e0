"""What happened to each company; deliveries of all companies, newest first, and what caused each."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    """
    create table company_facts (
        event_id uuid primary key,
        company_id uuid not null,
        type text not null,
        at timestamptz not null,
        said text not null,
        cause_id uuid,
        traceparent text
    )
    """,
    "create index company_facts_of_company on company_facts (company_id, at, event_id)",
    "alter table deliveries add column cause_id uuid",
    "create index deliveries_by_time on deliveries (first_at, delivery_id)",
    "create index deliveries_by_kind on deliveries (kind, first_at, delivery_id)",
    "create index deliveries_by_status on deliveries (status, first_at, delivery_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
