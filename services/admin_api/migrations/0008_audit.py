"""The audit: rows are added, never changed and never deleted."""

from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = (
    """
    create table audit (
        audit_id bigint generated always as identity primary key,
        at timestamptz not null,
        who text not null,
        role text,
        admin_id uuid,
        session_id uuid,
        address text,
        action text not null,
        subject text,
        company_id uuid,
        reason text,
        details jsonb not null default '{}'
    )
    """,
    "create index audit_by_action on audit (action, audit_id)",
    "create index audit_by_who on audit (who, audit_id)",
    "create index audit_of_subject on audit (subject, audit_id)",
    "create index audit_of_company on audit (company_id, audit_id) where company_id is not null",
    "create index audit_by_time on audit (at, audit_id)",
    # A trigger, not only grants: where DATABASE_SINGLE_ROLE is true the service owns the table.
    """
    create function refuse_audit_change() returns trigger language plpgsql as $$
    begin
        raise exception 'the audit is append-only: % is refused', tg_op
            using errcode = 'insufficient_privilege';
    end
    $$
    """,
    """
    create trigger audit_is_append_only before update or delete or truncate on audit
        for each statement execute function refuse_audit_change()
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
