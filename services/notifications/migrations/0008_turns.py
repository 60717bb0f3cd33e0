"""Deliveries that were claimed ahead wait for their turn; whatever is being sent by now does not."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("alter table deliveries add column waits_for_turn boolean not null default false")
