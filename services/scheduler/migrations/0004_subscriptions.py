"""The subscriptions that are compared with Stripe's."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    """
    create table subscriptions (
        subscription_id text primary key,
        company_id uuid not null,
        started_at timestamptz not null,
        ended_at timestamptz,
        checked_on date not null default '1970-01-01'
    )
    """,
    "create index subscriptions_to_check on subscriptions (checked_on, subscription_id)"
    " where ended_at is null",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
