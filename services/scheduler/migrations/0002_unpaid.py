"""Unpaid invoices as billing told them, for reminders and for deadlines."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    """
    create table unpaid_invoices (
        invoice_id text primary key,
        company_id uuid,
        unpaid_at timestamptz,
        deadline_at timestamptz,
        currency text,
        customer_name text,
        customer_email text,
        told_at timestamptz,
        event_id uuid,
        traceparent text,
        closed_at timestamptz,
        check (closed_at is not null or (company_id is not null and unpaid_at is not null
            and deadline_at is not null and currency is not null and customer_name is not null))
    )
    """,
    """
    create index unpaid_invoices_open on unpaid_invoices (company_id, unpaid_at, invoice_id)
        where closed_at is null
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
