"""Whom the directory names for a company."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(
        """
        create table companies (
            company_id uuid primary key,
            name text,
            name_revision bigint not null,
            email text,
            email_revision bigint not null,
            phone text,
            phone_revision bigint not null
        )
        """
    )
