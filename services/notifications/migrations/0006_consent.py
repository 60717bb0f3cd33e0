"""Whom nothing, or not everything, is sent to; what is due at the same moment leaves in the order it came."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(
        """
        create table suppressions (
            id uuid primary key,
            target text not null,
            scope text not null,
            reason text not null,
            note text,
            added_by text not null,
            added_at timestamptz not null,
            until timestamptz,
            delivery_id uuid,
            lifted_at timestamptz,
            lifted_by text,
            lift_note text
        )
        """
    )
    op.execute(
        "create unique index suppressions_in_force on suppressions (target, scope, reason) "
        "where lifted_at is null"
    )
    op.execute("create index suppressions_newest on suppressions (added_at, id)")
    op.execute("create index suppressions_by_target on suppressions (target, added_at)")
    op.execute("drop index deliveries_due")
    op.execute(
        "create index deliveries_due on deliveries (channel, due_at, created_at) where status = 'pending'"
    )
    op.execute(
        "create index deliveries_marketing on deliveries (company_id, sending_at) "
        "where category = 'marketing'"
    )
