"""API keys of programs: only their hashes are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.admin_api.domain import Scope

_ADD_API_KEY = text("""
    insert into api_keys (key_id, name, start, key_hash, scopes, created_at, created_by, expires_at)
    values (:key_id, :name, :start, :key_hash, :scopes, :now, :created_by, :expires_at)
""")
_FIND_API_KEY = text("""
    select key_id, name, scopes, used_at from api_keys
    where key_hash = :key_hash and revoked_at is null and (expires_at is null or expires_at > :now)
""")
_LIST_API_KEYS = text("""
    select key_id, name, start, scopes, created_at, created_by, expires_at, used_at, revoked_at, revoked_by
    from api_keys order by created_at, key_id
""")
_REVOKE_API_KEY = text("""
    update api_keys set revoked_at = :now, revoked_by = :revoked_by
    where key_id = :key_id and revoked_at is null returning name
""")
_MARK_USED = text("update api_keys set used_at = :now where key_id = :key_id")


async def add_api_key(
    session: AsyncSession,
    key_id: UUID,
    *,
    name: str,
    start: str,
    key_hash: bytes,
    scopes: Sequence[Scope],
    created_by: str,
    now: datetime,
    expires_at: datetime | None,
) -> None:
    values = {
        "key_id": key_id,
        "name": name,
        "start": start,
        "key_hash": key_hash,
        "scopes": [scope.value for scope in scopes],
        "created_by": created_by,
        "now": now,
        "expires_at": expires_at,
    }
    await session.execute(_ADD_API_KEY, values)


async def find_api_key(session: AsyncSession, key_hash: bytes, now: datetime) -> Row[Any] | None:
    """One that opens something now."""
    return (await session.execute(_FIND_API_KEY, {"key_hash": key_hash, "now": now})).first()


async def list_api_keys(session: AsyncSession) -> list[Row[Any]]:
    return list((await session.execute(_LIST_API_KEYS)).all())


async def revoke_api_key(
    session: AsyncSession, key_id: UUID, *, revoked_by: str, now: datetime
) -> str | None:
    """Its name; None when there is none, or it was revoked before."""
    values = {"key_id": key_id, "revoked_by": revoked_by, "now": now}
    return (await session.execute(_REVOKE_API_KEY, values)).scalar_one_or_none()


async def mark_key_used(session: AsyncSession, key_id: UUID, now: datetime) -> None:
    await session.execute(_MARK_USED, {"key_id": key_id, "now": now})
