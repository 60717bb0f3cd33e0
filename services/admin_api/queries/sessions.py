"""Sessions of admins, and their refresh tokens, of which only hashes are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.swept import Swept

_ADD_SESSION = text("""
    insert into admin_sessions (session_id, admin_id, carrier, address, agent, created_at, seen_at,
                                expires_at)
    values (:session_id, :admin_id, :carrier, :address, :agent, :now, :now, :expires_at)
""")
_FIND_LIVE_SESSION = text("""
    select s.session_id, s.admin_id, s.carrier, s.expires_at, a.email, a.name, a.role
    from admin_sessions s join admins a using (admin_id)
    where s.session_id = :session_id and s.revoked_at is null and s.expires_at > :now
      and a.disabled_at is null
""")
_LIST_LIVE_SESSIONS = text("""
    select session_id, carrier, address, agent, created_at, seen_at, expires_at from admin_sessions s
    where admin_id = :admin_id and revoked_at is null and expires_at > :now
      and exists (select from admin_refresh_tokens t
                  where t.session_id = s.session_id and t.used_at is null and t.expires_at > :now)
    order by seen_at desc, session_id
""")
_MARK_SEEN = text("update admin_sessions set seen_at = :now where session_id = :session_id")
_REVOKE_SESSION = text("""
    update admin_sessions set revoked_at = :now, revoked_why = :why
    where session_id = :session_id and admin_id = :admin_id and revoked_at is null returning session_id
""")
_REVOKE_SESSIONS = text("""
    update admin_sessions set revoked_at = :now, revoked_why = :why
    where admin_id = :admin_id and revoked_at is null
      and session_id is distinct from cast(:but as uuid)
    returning session_id
""")
_ADD_REFRESH_TOKEN = text("""
    insert into admin_refresh_tokens (token_hash, session_id, created_at, expires_at)
    values (:token_hash, :session_id, :now, :expires_at)
""")
_USE_REFRESH_TOKEN = text("""
    update admin_refresh_tokens set used_at = :now
    where token_hash = :token_hash and used_at is null and expires_at > :now returning session_id
""")
_FIND_REFRESH_TOKEN = text("""
    select t.session_id, t.used_at, t.expires_at, s.admin_id, s.carrier
    from admin_refresh_tokens t join admin_sessions s using (session_id) where t.token_hash = :token_hash
""")


@dataclass(frozen=True, slots=True)
class NewSession:
    """`carrier`: page (cookies) or api (bearer)."""

    session_id: UUID
    admin_id: UUID
    carrier: str
    address: str
    agent: str
    expires_at: datetime


async def add_session(session: AsyncSession, new: NewSession, now: datetime) -> None:
    values = {name: getattr(new, name) for name in NewSession.__slots__}
    await session.execute(_ADD_SESSION, {**values, "now": now})


async def find_live_session(session: AsyncSession, session_id: UUID, now: datetime) -> Row[Any] | None:
    """With its admin's `email`, `name` and `role`; None when it is over, revoked, or its admin disabled."""
    return (await session.execute(_FIND_LIVE_SESSION, {"session_id": session_id, "now": now})).first()


async def list_live_sessions(session: AsyncSession, admin_id: UUID, now: datetime) -> list[Row[Any]]:
    """Last seen first."""
    return list((await session.execute(_LIST_LIVE_SESSIONS, {"admin_id": admin_id, "now": now})).all())


async def mark_seen(session: AsyncSession, session_id: UUID, now: datetime) -> None:
    await session.execute(_MARK_SEEN, {"session_id": session_id, "now": now})


async def revoke_session(
    session: AsyncSession, admin_id: UUID, session_id: UUID, *, why: str, now: datetime
) -> bool:
    """Whether the admin had such a session, not revoked yet."""
    values = {"admin_id": admin_id, "session_id": session_id, "why": why, "now": now}
    return (await session.execute(_REVOKE_SESSION, values)).first() is not None


async def revoke_sessions(
    session: AsyncSession, admin_id: UUID, *, why: str, now: datetime, but: UUID | None = None
) -> int:
    """All of an admin's, `but` one; how many there were."""
    values = {"admin_id": admin_id, "why": why, "now": now, "but": but}
    return len((await session.execute(_REVOKE_SESSIONS, values)).all())


async def add_refresh_token(
    session: AsyncSession, token_hash: bytes, session_id: UUID, *, now: datetime, expires_at: datetime
) -> None:
    values = {"token_hash": token_hash, "session_id": session_id, "now": now, "expires_at": expires_at}
    await session.execute(_ADD_REFRESH_TOKEN, values)


async def use_refresh_token(session: AsyncSession, token_hash: bytes, now: datetime) -> UUID | None:
    """The session of a token that was good until now, and is no longer; None for every other. Of those who
    ask at once, one is answered."""
    values = {"token_hash": token_hash, "now": now}
    return (await session.execute(_USE_REFRESH_TOKEN, values)).scalar_one_or_none()


async def find_refresh_token(session: AsyncSession, token_hash: bytes) -> Row[Any] | None:
    """Used or not: `session_id`, `used_at`, `expires_at`, `admin_id`, `carrier`."""
    return (await session.execute(_FIND_REFRESH_TOKEN, {"token_hash": token_hash})).first()


_DELETE_OLD = text("""
    with old as (
        select session_id from admin_sessions where expires_at < :before order by expires_at limit :limit
        for update skip locked
    )
    delete from admin_sessions using old where admin_sessions.session_id = old.session_id
""")


async def delete_old_sessions(
    session: AsyncSession, *, before: datetime, after: tuple[Any, ...] | None, limit: int
) -> Swept:
    """Those that were over before, with their tokens; a sweep of the housekeeping."""
    result = await session.execute(_DELETE_OLD, {"before": before, "limit": limit})
    deleted = int(getattr(result, "rowcount", 0))
    return Swept(deleted=deleted, place=(before,) if deleted == limit else None)
