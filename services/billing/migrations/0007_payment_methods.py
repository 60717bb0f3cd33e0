"""Saved payment methods, which of them is the default, and the mornings on which cards are looked at."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    "alter table customers add column default_payment_method_id text",
    "alter table subscriptions add column default_payment_method_id text",
    """
    create table payment_methods (
        payment_method_id text primary key,
        stripe_customer_id text,
        label text not null,
        fingerprint text,
        expires_on date,
        is_detached boolean not null,
        created_at timestamptz not null,
        seen_at timestamptz not null,
        digest text not null,
        told_expires_on date
    )
    """,
    "create index payment_methods_by_customer on payment_methods (stripe_customer_id)",
    "create index payment_methods_expiring on payment_methods (expires_on, payment_method_id)"
    " where not is_detached and told_expires_on is distinct from expires_on",
    """
    create table card_checks (
        due_on date primary key,
        causation_id uuid not null,
        traceparent text,
        after_expires_on date,
        after_id text,
        told integer not null default 0,
        finished_at timestamptz
    )
    """,
    "create index card_checks_open on card_checks (due_on) where finished_at is null",
    "create trigger card_checks_wake after insert on card_checks for each statement execute function wake()",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
