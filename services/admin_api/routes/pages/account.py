"""One's own account: password, code, sessions."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Row

from libs.common.database import Database
from services.admin_api import queries
from services.admin_api.auth import Caller, CallerOf, Guards, page
from services.admin_api.auth.totp import address, qr_code
from services.admin_api.domain import SHORTEST_PASSWORD, InvalidError, Role, check_password
from services.admin_api.problems import Problem
from services.admin_api.screens import Screens

Text = Annotated[str, Form(max_length=500)]

DONE = {
    "mot-de-passe": "Votre mot de passe est changé, vos autres sessions sont fermées.",
    "code": "Un code sera demandé à votre prochaine connexion.",
    "sans-code": "Aucun code ne sera plus demandé.",
    "session": "La session est fermée.",
}
NOT_YOURS = "Le mot de passe actuel n’est pas le bon."


def create_router(database: Database, screens: Screens, guards: Guards) -> APIRouter:
    router = APIRouter(prefix="/compte", include_in_schema=False)
    desk = _Desk(database, screens, guards)

    _add_password(router, desk)
    _add_totp(router, desk, database, guards)
    return router


def _add_password(router: APIRouter, desk: _Desk) -> None:
    @router.get("")
    @page(Role.READER)
    async def show_account(request: Request, caller: CallerOf, fait: str = "") -> Response:
        return await desk.show(request, caller, done=DONE.get(fait, ""))

    @router.post("/mot-de-passe")
    @page(Role.READER)
    async def change_password(request: Request, caller: CallerOf, current: Text, password: Text) -> Response:
        admin = await desk.admin_of(caller)
        if not await desk.is_own(admin, current, caller):
            return await desk.show(request, caller, error=NOT_YOURS)
        try:
            check_password(password, admin.email)
        except InvalidError as error:
            return await desk.show(request, caller, error=str(error))
        await desk.set_password(caller, admin, password)
        return _done("mot-de-passe")


def _add_totp(router: APIRouter, desk: _Desk, database: Database, guards: Guards) -> None:
    @router.post("/totp")
    @page(Role.READER)
    async def offer_totp(request: Request, caller: CallerOf) -> Response:
        """Shows a new secret; it counts once a code of it is given."""
        admin = await desk.admin_of(caller)
        if admin.totp_secret is None:
            async with database.begin() as uow:
                await queries.offer_totp(uow.session, admin.admin_id, guards.totp.new_secret())
        return RedirectResponse("/compte#code-titre", 303)

    @router.post("/totp/confirmer")
    @page(Role.READER)
    async def confirm_totp(request: Request, caller: CallerOf, code: Text) -> Response:
        admin = await desk.admin_of(caller)
        step = admin.totp_offered and guards.totp.step_of(admin.totp_offered, code, database.clock())
        if step is None:
            return await desk.show(request, caller, error="Ce code n’est pas le bon : recopiez le suivant.")
        async with database.begin() as uow:
            await queries.take_totp(uow.session, admin.admin_id, step)
            await queries.add_audit(uow.session, caller.did("account.totp_added"), uow.now)
        return _done("code")

    @router.post("/totp/retirer")
    @page(Role.READER)
    async def remove_totp(request: Request, caller: CallerOf, removing: Text) -> Response:
        admin = await desk.admin_of(caller)
        if not await desk.is_own(admin, removing, caller):
            return await desk.show(request, caller, error=NOT_YOURS)
        async with database.begin() as uow:
            await queries.delete_totp(uow.session, admin.admin_id)
            await queries.add_audit(uow.session, caller.did("account.totp_removed"), uow.now)
        return _done("sans-code")

    @router.post("/sessions/{session_id}/fermer")
    @page(Role.READER)
    async def revoke_session(caller: CallerOf, session_id: UUID) -> Response:
        """One of one's own; the present one too."""
        await desk.revoke(caller, session_id)
        return _done("session")


def _done(what: str) -> Response:
    return RedirectResponse(f"/compte?fait={what}", 303)


class _Desk:
    def __init__(self, database: Database, screens: Screens, guards: Guards) -> None:
        self._database = database
        self._screens = screens
        self._guards = guards

    async def admin_of(self, caller: Caller) -> Row[Any]:
        async with self._database.begin() as uow:
            return await queries.get_admin(uow.session, _id_of(caller))

    async def show(self, request: Request, caller: Caller, *, done: str = "", error: str = "") -> Response:
        async with self._database.begin() as uow:
            admin = await queries.get_admin(uow.session, _id_of(caller))
            sessions = await queries.list_live_sessions(uow.session, admin.admin_id, uow.now)
        secret = self._guards.totp.secret(admin.totp_offered) if admin.totp_offered else None
        return self._screens.show(
            request,
            "account.html",
            status=422 if error else 200,
            title="Votre compte",
            admin=admin,
            sessions=sessions,
            shortest=SHORTEST_PASSWORD,
            secret=secret,
            qr=secret and qr_code(address(secret, admin.email)),
            done=done,
            error=error,
        )

    async def is_own(self, admin: Row[Any], password: str, caller: Caller) -> bool:
        """Counted as tries to sign in are. Raises Problem after too many."""
        if await self._guards.throttling.take(admin.email, caller.address) is not None:
            raise Problem(429, "too_many_tries", "Trop d’essais", "Attendez, puis réessayez.")
        if not await self._guards.passwords.is_right(password, admin.password_hash):
            return False
        async with self._database.begin() as uow:
            await self._guards.throttling.clear(uow.session, admin.email, caller.address)
        return True

    async def set_password(self, caller: Caller, admin: Row[Any], password: str) -> None:
        password_hash = await self._guards.passwords.hash(password)
        async with self._database.begin() as uow:
            await queries.set_password_hash(uow.session, admin.admin_id, password_hash)
            await queries.revoke_sessions(
                uow.session, admin.admin_id, why="password_set", now=uow.now, but=caller.session_id
            )
            await queries.add_audit(uow.session, caller.did("account.password_set"), uow.now)

    async def revoke(self, caller: Caller, session_id: UUID) -> None:
        async with self._database.begin() as uow:
            is_first = await queries.revoke_session(
                uow.session, _id_of(caller), session_id, why="revoked", now=uow.now
            )
            if is_first:
                deed = caller.did("session.revoked", subject=f"session:{session_id}")
                await queries.add_audit(uow.session, deed, uow.now)


def _id_of(caller: Caller) -> UUID:
    assert caller.admin_id is not None, "a page's caller is somebody with an account"
    return caller.admin_id
