"""Read model: until when each routine of the scheduler must be heard of."""

from alembic import op

revision = "0004"
down_revision = "0003"

TABLE = """
    create table routines (
        routine text primary key,
        expected_by timestamptz,
        what text not null,
        at timestamptz not null,
        revision bigint not null,
        event_id uuid not null,
        alarmed_for timestamptz
    )
"""


def upgrade() -> None:
    op.execute(TABLE)
