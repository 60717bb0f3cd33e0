"""Moments of routines that are not about a company."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
    create table slots (
        routine text not null,
        due_at timestamptz not null,
        told_at timestamptz not null,
        primary key (routine, due_at)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
