"""Which template a delivery was written from; subscriptions and phone numbers, for what stops a message."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    "alter table deliveries add column template_version text",
    # For the report of a day: rows are in this order as it is.
    "create index deliveries_by_time on deliveries using brin (created_at)",
    """
    create table subscriptions (
        company_id uuid not null,
        subscription_id text not null,
        started_at timestamptz,
        ended_at timestamptz,
        primary key (company_id, subscription_id)
    )
    """,
    """
    create table numbers (
        company_id uuid not null,
        number text not null,
        assigned_at timestamptz,
        released_at timestamptz,
        primary key (company_id, number)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
