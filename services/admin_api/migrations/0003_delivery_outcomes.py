"""A delivery may also be told as delivered, or as come back."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("alter table deliveries drop constraint deliveries_status_check")
    op.execute(
        "alter table deliveries add constraint deliveries_status_check check "
        "(status in ('accepted', 'delivered', 'bounced', 'failed', 'suppressed', 'unknown'))"
    )
