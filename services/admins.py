"""What `relance admin` does: accounts and API keys, each change with its row in the audit."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row

from libs.common.database import Uow
from libs.common.errors import RelanceError
from services.admin_api import queries
from services.admin_api.auth.api_keys import SHOWN_CHARACTERS, hash_of, new_key
from services.admin_api.auth.passwords import Passwords
from services.admin_api.domain import InvalidError, Role, Scope, check_password, clean_email
from services.admin_api.queries import Deed
from services.service_database import database_of

SERVICE = "admin_api"
ADMINS = "admins"
"""Held while somebody's rights are taken away: two at once would each believe that the other is left."""


class RefusedError(RelanceError):
    """What was asked for cannot be; the message says why."""


async def create(email: str, name: str, role: str, password: str, *, is_fine_if_there: bool) -> bool:
    """Whether the account is new. Raises RefusedError."""
    try:
        address = clean_email(email).lower()
        check_password(password, address)
    except InvalidError as error:
        raise RefusedError(str(error)) from error
    async with database_of(SERVICE) as database:
        password_hash = await Passwords().hash(password)
        async with database.begin() as uow:
            admin_id = uuid4()
            is_new = await queries.add_admin(
                uow.session,
                admin_id,
                email=address,
                name=name,
                role=Role(role),
                password_hash=password_hash,
                now=uow.now,
            )
            if is_new:
                await _note(uow, "account.created", f"account:{address}", role=role)
    if not is_new and not is_fine_if_there:
        raise RefusedError(f"{address} has an account already: see `relance admin reset-password`")
    return is_new


async def list_lines() -> list[str]:
    async with database_of(SERVICE) as database, database.begin() as uow:
        rows = await queries.list_admins(uow.session)
    return [_line(row) for row in rows] or ["nobody: `relance admin create EMAIL` makes the first account"]


def _line(row: Row[Any]) -> str:
    code = "with a code" if row.totp_secret else "no code"
    seen = _moment(row.signed_in_at) if row.signed_in_at else "never signed in"
    state = f"  shut out since {_moment(row.disabled_at)}" if row.disabled_at else ""
    return f"{row.email}  {row.role}  {code}  {seen}{state}"


async def set_role(email: str, role: str) -> None:
    """Raises RefusedError for nobody, and for the last one who may do everything."""
    async with database_of(SERVICE) as database, database.begin() as uow:
        await uow.lock(ADMINS)
        row = await _get(uow, email)
        await queries.set_role(uow.session, row.admin_id, Role(role))
        await _check_somebody_is_left(uow)
        await _note(uow, "account.role_set", f"account:{row.email}", role=role, before=row.role)


async def reset_password(email: str, password: str, *, is_code_forgotten: bool) -> None:
    async with database_of(SERVICE) as database:
        async with database.begin() as uow:
            row = await _get(uow, email)
        try:
            check_password(password, row.email)
        except InvalidError as error:
            raise RefusedError(str(error)) from error
        password_hash = await Passwords().hash(password)
        async with database.begin() as uow:
            await queries.set_password_hash(uow.session, row.admin_id, password_hash)
            await queries.revoke_sessions(uow.session, row.admin_id, why="password_set", now=uow.now)
            await _note(uow, "account.password_set", f"account:{row.email}")
            if is_code_forgotten:
                await queries.delete_totp(uow.session, row.admin_id)
                await _note(uow, "account.totp_removed", f"account:{row.email}")


async def disable(email: str, *, is_undone: bool) -> None:
    async with database_of(SERVICE) as database, database.begin() as uow:
        await uow.lock(ADMINS)
        row = await _get(uow, email)
        await queries.set_disabled(uow.session, row.admin_id, None if is_undone else uow.now)
        if not is_undone:
            await _check_somebody_is_left(uow)
            await queries.revoke_sessions(uow.session, row.admin_id, why="disabled", now=uow.now)
        await _note(uow, "account.enabled" if is_undone else "account.disabled", f"account:{row.email}")


async def create_key(name: str, scopes: Sequence[str], days: int | None) -> str:
    """The key: it is kept nowhere."""
    made, key_id = new_key(), uuid4()
    async with database_of(SERVICE) as database, database.begin() as uow:
        await queries.add_api_key(
            uow.session,
            key_id,
            name=name,
            start=made[:SHOWN_CHARACTERS],
            key_hash=hash_of(made),
            scopes=[Scope(scope) for scope in sorted(set(scopes))],
            created_by=_who(),
            now=uow.now,
            expires_at=None if days is None else uow.now + timedelta(days=days),
        )
        await _note(uow, "key.created", f"key:{key_id}", name=name, scopes=sorted(set(scopes)))
    return made


async def list_key_lines() -> list[str]:
    async with database_of(SERVICE) as database, database.begin() as uow:
        rows = await queries.list_api_keys(uow.session)
    return [_key_line(row) for row in rows] or ["no key was made: INTERNE_APIKEY opens the API"]


def _key_line(row: Row[Any]) -> str:
    used = f"used {_moment(row.used_at)}" if row.used_at else "never used"
    end = f"  until {_moment(row.expires_at)}" if row.expires_at else ""
    revoked = f"  revoked {_moment(row.revoked_at)} by {row.revoked_by}" if row.revoked_at else ""
    return f"{row.key_id}  {row.start}…  {row.name}  {','.join(row.scopes)}  {used}{end}{revoked}"


async def revoke_key(key_id: UUID) -> str:
    """Whose it was. Raises RefusedError."""
    async with database_of(SERVICE) as database, database.begin() as uow:
        name = await queries.revoke_api_key(uow.session, key_id, revoked_by=_who(), now=uow.now)
        if name is None:
            raise RefusedError(f"no key {key_id} opens anything: see `relance admin key list`")
        await _note(uow, "key.revoked", f"key:{key_id}", name=name)
    return name


async def _get(uow: Uow, email: str) -> Row[Any]:
    row = await queries.find_admin(uow.session, email)
    if row is None:
        raise RefusedError(f"{email} has no account: see `relance admin list`")
    return row


async def _check_somebody_is_left(uow: Uow) -> None:
    if not await queries.count_active_admins(uow.session):
        raise RefusedError("nobody would be left who may do everything: make another admin first")


async def _note(uow: Uow, action: str, subject: str, **details: Any) -> None:
    await queries.add_audit(uow.session, Deed(_who(), action, subject=subject, details=details), uow.now)


def _who() -> str:
    return f"console : {getpass.getuser()}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M %Z}"
