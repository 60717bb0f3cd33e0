"""Deliveries of all companies, newest first, by kind or by status."""

from alembic import op

revision = "0009"
down_revision = "0008"

INDEXES = (
    "create index deliveries_by_time on deliveries (first_at, delivery_id)",
    "create index deliveries_by_kind on deliveries (kind, first_at, delivery_id)",
    "create index deliveries_by_status on deliveries (status, first_at, delivery_id)",
)


def upgrade() -> None:
    for statement in INDEXES:
        op.execute(statement)
