"""The company's own people: accounts, sessions, throttles; API keys of programs."""

from alembic import op

revision = "0007"
down_revision = "0004"

TABLES = (
    """
    create table admins (
        admin_id uuid primary key,
        email text not null unique check (email = lower(email)),
        name text not null,
        role text not null check (role in ('reader', 'support', 'billing', 'admin')),
        password_hash text not null,
        totp_secret bytea,
        totp_offered bytea,
        totp_step bigint not null default 0,
        disabled_at timestamptz,
        created_at timestamptz not null,
        signed_in_at timestamptz
    )
    """,
    """
    create table admin_sessions (
        session_id uuid primary key,
        admin_id uuid not null references admins,
        carrier text not null check (carrier in ('page', 'api')),
        address text not null,
        agent text not null,
        created_at timestamptz not null,
        seen_at timestamptz not null,
        expires_at timestamptz not null,
        revoked_at timestamptz,
        revoked_why text
    )
    """,
    "create index admin_sessions_of_admin on admin_sessions (admin_id, created_at)",
    """
    create table admin_refresh_tokens (
        token_hash bytea primary key,
        session_id uuid not null references admin_sessions on delete cascade,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        used_at timestamptz
    )
    """,
    "create index admin_refresh_tokens_of_session on admin_refresh_tokens (session_id)",
    """
    create table login_throttles (
        subject text primary key,
        tries integer not null,
        until timestamptz not null
    )
    """,
    "create index login_throttles_by_time on login_throttles (until)",
    """
    create table api_keys (
        key_id uuid primary key,
        name text not null,
        start text not null,
        key_hash bytea not null unique,
        scopes text[] not null,
        created_at timestamptz not null,
        created_by text not null,
        expires_at timestamptz,
        used_at timestamptz,
        revoked_at timestamptz,
        revoked_by text
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
