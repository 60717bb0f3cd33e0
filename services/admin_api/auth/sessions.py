"""Signing in, staying signed in, signing out."""

from __future__ import annotations

import hashlib
import math
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import Row

from libs.common.database import Database, Uow
from services.admin_api import queries
from services.admin_api.auth.callers import Caller
from services.admin_api.auth.keys import ACCESS, STEP, TokenError, Tokens
from services.admin_api.auth.passwords import Passwords
from services.admin_api.auth.throttling import Throttling
from services.admin_api.auth.totp import Totp
from services.admin_api.domain import Role
from services.admin_api.queries import Deed, NewSession
from services.admin_api.settings import AdminApiSettings

Carrier = Literal["page", "api"]
Why = Literal["wrong", "throttled", "code_needed", "code_wrong", "step_over"]

SECOND_STEP = timedelta(minutes=5)
LONGEST_AGENT = 300
TWO_TABS = timedelta(seconds=30)
"""Tabs of one browser may hand in the same refresh token: within so long the later ones get an access token,
and no refresh token; later it is taken for stolen."""


class SignInRefused(Exception):
    """`step`: what goes with the code, when one is asked for. `wait_seconds`: after too many tries."""

    def __init__(self, why: Why, *, step: str = "", wait_seconds: int = 0) -> None:
        super().__init__(why)
        self.why = why
        self.step = step
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from."""

    address: str
    agent: str
    carrier: Carrier


@dataclass(frozen=True, slots=True)
class Issued:
    """Tokens of a session; `refresh` None: the one that the caller has stays."""

    session_id: UUID
    access: str
    refresh: str | None


class Sessions:
    def __init__(
        self,
        *,
        database: Database,
        settings: AdminApiSettings,
        tokens: Tokens,
        passwords: Passwords,
        totp: Totp,
        throttling: Throttling,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._passwords = passwords
        self._totp = totp
        self._throttling = throttling
        self._access_lives = timedelta(seconds=settings.access_seconds)
        self._idle = timedelta(hours=settings.session_idle_hours)
        self._longest = timedelta(hours=settings.session_longest_hours)

    async def sign_in(self, email: str, password: str, origin: Origin, *, code: str = "") -> Issued:
        """Raises SignInRefused. Each call counts as a try until it succeeds."""
        await self._throttle(email, origin)
        async with self._database.begin() as uow:
            admin = await queries.find_admin(uow.session, email)
        is_right = await self._passwords.is_right(password, admin and admin.password_hash)
        if admin is None or not is_right or admin.disabled_at is not None:
            await self._refuse(email, origin, "wrong")
            raise SignInRefused("wrong")
        if admin.totp_secret is None:
            return await self._open(admin, origin, password=password)
        if not code:
            raise SignInRefused("code_needed", step=self._step(admin.admin_id))
        return await self._open_with_code(admin, code, origin, password=password)

    async def second_step(self, step: str, code: str, origin: Origin) -> Issued:
        """With what the first step gave out. Raises SignInRefused."""
        try:
            admin_id = self._tokens.read(step, audience=STEP, now=self._database.clock())
        except TokenError as error:
            raise SignInRefused("step_over") from error
        async with self._database.begin() as uow:
            admin = await queries.get_admin(uow.session, admin_id)
        await self._throttle(admin.email, origin)
        if admin.disabled_at is not None or admin.totp_secret is None:
            raise SignInRefused("step_over")
        return await self._open_with_code(admin, code, origin)

    async def find(self, access: str, carrier: Carrier, address: str) -> Caller | None:
        """Who it is, by what the database says now; None for a token that is not good, or good elsewhere."""
        try:
            session_id = self._tokens.read(access, audience=ACCESS, now=self._database.clock())
        except TokenError:
            return None
        async with self._database.begin() as uow:
            row = await queries.find_live_session(uow.session, session_id, uow.now)
        return _caller(row, address) if row is not None and row.carrier == carrier else None

    async def refresh(self, token: str, origin: Origin) -> Issued | None:
        """New tokens for a refresh token that was not used yet. One that was used ends its session, for
        somebody else may have it."""
        digest = _hash(token)
        async with self._database.begin() as uow:
            session_id = await queries.use_refresh_token(uow.session, digest, uow.now)
            if session_id is None:
                return await self._refresh_again(digest, origin, uow)
            row = await queries.find_live_session(uow.session, session_id, uow.now)
            if row is None or row.carrier != origin.carrier:
                return None
            await queries.mark_seen(uow.session, session_id, uow.now)
            return await self._issue(session_id, row.expires_at, uow)

    async def sign_out(self, caller: Caller) -> None:
        if caller.session_id is None or caller.admin_id is None:
            return
        async with self._database.begin() as uow:
            is_first = await queries.revoke_session(
                uow.session, caller.admin_id, caller.session_id, why="signed_out", now=uow.now
            )
            if is_first:
                await queries.add_audit(uow.session, caller.did("session.signed_out"), uow.now)

    async def _throttle(self, email: str, origin: Origin) -> None:
        wait = await self._throttling.take(email, origin.address)
        if wait is None:
            return
        # Once a window: a flood of tries is not to become a flood of rows that nobody may delete.
        if wait.is_news:
            await self._refuse(email, origin, "throttled")
        raise SignInRefused("throttled", wait_seconds=max(1, math.ceil(wait.time.total_seconds())))

    async def _open_with_code(
        self, admin: Row[Any], code: str, origin: Origin, *, password: str | None = None
    ) -> Issued:
        step = self._totp.step_of(admin.totp_secret, code, self._database.clock())
        if step is not None:
            async with self._database.begin() as uow:
                if not await queries.use_totp_step(uow.session, admin.admin_id, step):
                    step = None
        if step is None:
            await self._refuse(admin.email, origin, "code_wrong")
            raise SignInRefused("code_wrong", step=self._step(admin.admin_id))
        return await self._open(admin, origin, password=password)

    async def _open(self, admin: Row[Any], origin: Origin, *, password: str | None = None) -> Issued:
        new_hash = None
        if password is not None and self._passwords.is_outdated(admin.password_hash):
            new_hash = await self._passwords.hash(password)
        async with self._database.begin() as uow:
            expires_at = uow.now + self._longest
            session_id = uuid4()
            agent = origin.agent[:LONGEST_AGENT]
            new = NewSession(session_id, admin.admin_id, origin.carrier, origin.address, agent, expires_at)
            await queries.add_session(uow.session, new, uow.now)
            await queries.mark_signed_in(uow.session, admin.admin_id, uow.now)
            if new_hash is not None:
                await queries.set_password_hash(uow.session, admin.admin_id, new_hash)
            await self._throttling.clear(uow.session, admin.email, origin.address)
            caller = Caller(admin.email, origin.address, Role(admin.role), admin.admin_id, session_id)
            deed = caller.did("session.signed_in", carrier=origin.carrier)
            await queries.add_audit(uow.session, deed, uow.now)
            return await self._issue(session_id, expires_at, uow)

    async def _issue(self, session_id: UUID, session_ends: datetime, uow: Uow) -> Issued:
        refresh = secrets.token_urlsafe(32)
        expires_at = min(uow.now + self._idle, session_ends)
        await queries.add_refresh_token(
            uow.session, _hash(refresh), session_id, now=uow.now, expires_at=expires_at
        )
        return Issued(session_id, self._access(session_id, uow.now), refresh)

    async def _refresh_again(self, digest: bytes, origin: Origin, uow: Uow) -> Issued | None:
        known = await queries.find_refresh_token(uow.session, digest)
        if known is None or known.used_at is None:
            return None
        if origin.carrier == known.carrier == "page" and uow.now - known.used_at <= TWO_TABS:
            row = await queries.find_live_session(uow.session, known.session_id, uow.now)
            return row and Issued(known.session_id, self._access(known.session_id, uow.now), None)
        is_first = await queries.revoke_session(
            uow.session, known.admin_id, known.session_id, why="refresh_reused", now=uow.now
        )
        if is_first:
            admin = await queries.get_admin(uow.session, known.admin_id)
            caller = Caller(admin.email, origin.address, Role(admin.role), known.admin_id, known.session_id)
            await queries.add_audit(uow.session, caller.did("session.refresh_reused"), uow.now)
        return None

    def _access(self, session_id: UUID, now: datetime) -> str:
        return self._tokens.sign(session_id, audience=ACCESS, now=now, lives=self._access_lives)

    def _step(self, admin_id: UUID) -> str:
        return self._tokens.sign(admin_id, audience=STEP, now=self._database.clock(), lives=SECOND_STEP)

    async def _refuse(self, email: str, origin: Origin, why: Why) -> None:
        deed = Deed(
            # What is no address may be a password that was typed in the wrong field.
            who=email[:LONGEST_AGENT].lower() if "@" in email else "?",
            action="session.refused",
            address=origin.address,
            details={"why": why, "carrier": origin.carrier},
        )
        async with self._database.begin() as uow:
            await queries.add_audit(uow.session, deed, uow.now)


def _caller(row: Row[Any], address: str) -> Caller:
    return Caller(row.email, address, Role(row.role), row.admin_id, row.session_id)


def _hash(token: str) -> bytes:
    """Of 256 random bits: there is nothing to guess that a slow hash would protect."""
    return hashlib.sha256(token.encode()).digest()
