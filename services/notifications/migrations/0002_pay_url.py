"""Our own link to an open invoice, beside Stripe's."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table open_invoices add column pay_url text")
