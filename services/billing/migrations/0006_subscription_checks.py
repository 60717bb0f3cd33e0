"""Subscriptions that are compared with Stripe's."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table subscription_checks (
        subscription_id text not null,
        due_on date not null,
        company_id uuid not null,
        causation_id uuid not null,
        traceparent text,
        due_at timestamptz not null default now(),
        lease_until timestamptz,
        fence bigint not null default 0,
        failures integer not null default 0,
        last_failure text,
        checked_at timestamptz,
        outcome text,
        primary key (subscription_id, due_on)
    )
    """,
    "create index subscription_checks_due on subscription_checks (due_at) where checked_at is null",
    "create trigger subscription_checks_wake after insert on subscription_checks for each statement"
    " execute function wake()",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
