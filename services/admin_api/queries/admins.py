"""Accounts of the company's own people."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.admin_api.domain import Role

_COLUMNS = (
    "admin_id, email, name, role, password_hash, totp_secret, totp_offered, totp_step, disabled_at, "
    "created_at, signed_in_at"
)

_ADD_ADMIN = text("""
    insert into admins (admin_id, email, name, role, password_hash, created_at)
    values (:admin_id, :email, :name, :role, :password_hash, :now)
    on conflict (email) do nothing returning admin_id
""")
_FIND_ADMIN = text(f"select {_COLUMNS} from admins where email = lower(:email)")  # noqa: S608 - our own
_GET_ADMIN = text(f"select {_COLUMNS} from admins where admin_id = :admin_id")  # noqa: S608
_LIST_ADMINS = text(f"select {_COLUMNS} from admins order by email")  # noqa: S608
_COUNT_ADMINS = text("select count(*) from admins where role = 'admin' and disabled_at is null")
_SET_ROLE = text("update admins set role = :role where admin_id = :admin_id")
_SET_PASSWORD = text("update admins set password_hash = :password_hash where admin_id = :admin_id")
_SET_DISABLED = text("update admins set disabled_at = :disabled_at where admin_id = :admin_id")
_MARK_SIGNED_IN = text("update admins set signed_in_at = :now where admin_id = :admin_id")
_OFFER_TOTP = text("update admins set totp_offered = :sealed where admin_id = :admin_id")
_TAKE_TOTP = text("""
    update admins set totp_secret = totp_offered, totp_offered = null, totp_step = :step
    where admin_id = :admin_id and totp_offered is not null
""")
_DELETE_TOTP = text("""
    update admins set totp_secret = null, totp_offered = null, totp_step = 0 where admin_id = :admin_id
""")
_USE_TOTP_STEP = text("""
    update admins set totp_step = :step where admin_id = :admin_id and totp_step < :step returning admin_id
""")


async def add_admin(
    session: AsyncSession,
    admin_id: UUID,
    *,
    email: str,
    name: str,
    role: Role,
    password_hash: str,
    now: datetime,
) -> bool:
    """False when the address has an account already."""
    values = {
        "admin_id": admin_id,
        "email": email.lower(),
        "name": name,
        "role": role.value,
        "password_hash": password_hash,
        "now": now,
    }
    return (await session.execute(_ADD_ADMIN, values)).first() is not None


async def find_admin(session: AsyncSession, email: str) -> Row[Any] | None:
    return (await session.execute(_FIND_ADMIN, {"email": email})).first()


async def get_admin(session: AsyncSession, admin_id: UUID) -> Row[Any]:
    return (await session.execute(_GET_ADMIN, {"admin_id": admin_id})).one()


async def list_admins(session: AsyncSession) -> list[Row[Any]]:
    return list((await session.execute(_LIST_ADMINS)).all())


async def count_active_admins(session: AsyncSession) -> int:
    """Those of the role admin who may sign in."""
    return int((await session.execute(_COUNT_ADMINS)).scalar_one())


async def set_role(session: AsyncSession, admin_id: UUID, role: Role) -> None:
    await session.execute(_SET_ROLE, {"admin_id": admin_id, "role": role.value})


async def set_password_hash(session: AsyncSession, admin_id: UUID, password_hash: str) -> None:
    await session.execute(_SET_PASSWORD, {"admin_id": admin_id, "password_hash": password_hash})


async def set_disabled(session: AsyncSession, admin_id: UUID, disabled_at: datetime | None) -> None:
    """None: may sign in again."""
    await session.execute(_SET_DISABLED, {"admin_id": admin_id, "disabled_at": disabled_at})


async def mark_signed_in(session: AsyncSession, admin_id: UUID, now: datetime) -> None:
    await session.execute(_MARK_SIGNED_IN, {"admin_id": admin_id, "now": now})


async def offer_totp(session: AsyncSession, admin_id: UUID, sealed: bytes) -> None:
    """A secret that is shown, and counts once a code of it was given."""
    await session.execute(_OFFER_TOTP, {"admin_id": admin_id, "sealed": sealed})


async def take_totp(session: AsyncSession, admin_id: UUID, step: int) -> None:
    """From now on a code of the offered secret is asked; that of `step` was given."""
    await session.execute(_TAKE_TOTP, {"admin_id": admin_id, "step": step})


async def delete_totp(session: AsyncSession, admin_id: UUID) -> None:
    await session.execute(_DELETE_TOTP, {"admin_id": admin_id})


async def use_totp_step(session: AsyncSession, admin_id: UUID, step: int) -> bool:
    """False when the code of this step, or of a later one, was used before: whoever asks at once, one is
    right."""
    return (await session.execute(_USE_TOTP_STEP, {"admin_id": admin_id, "step": step})).first() is not None
