"""Signing in and out, by page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from services.admin_api.auth import (
    SIGN_IN_PATH,
    CallerOf,
    Guards,
    Issued,
    Origin,
    SignInRefused,
    open_page,
    page,
)
from services.admin_api.domain import Role
from services.admin_api.screens import Screens

LONGEST = 500
Text = Annotated[str, Form(max_length=LONGEST)]
LongText = Annotated[str, Form(max_length=4 * LONGEST)]

WHY = {
    "wrong": "Adresse ou mot de passe incorrects.",
    "code_wrong": "Ce code n’est pas le bon, ou a déjà servi : attendez le suivant.",
    "step_over": "Trop de temps a passé : recommencez.",
}


def create_router(screens: Screens, guards: Guards) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get(SIGN_IN_PATH)
    @open_page()
    async def show_sign_in(request: Request, suite: str = "/") -> Response:
        return _form(request, suite=suite)

    @router.post(SIGN_IN_PATH)
    @open_page()
    async def sign_in(
        request: Request,
        *,
        suite: LongText = "/",
        email: Text = "",
        password: Text = "",
        step: LongText = "",
        code: Text = "",
    ) -> Response:
        """The first step, or the second with what the first gave out. Then to where one wanted to go."""
        origin = origin_of(request)
        try:
            if step:
                issued = await guards.sessions.second_step(step, code, origin)
            else:
                issued = await guards.sessions.sign_in(email, password, origin)
        except SignInRefused as refused:
            return _refuse(request, refused, suite=suite, email=email)
        return _with_cookies(RedirectResponse(inside(suite), 303), issued)

    @router.post("/deconnexion")
    @page(Role.READER)
    async def sign_out(caller: CallerOf) -> Response:
        await guards.sessions.sign_out(caller)
        response = RedirectResponse(SIGN_IN_PATH, 303)
        for cookie in guards.cookies.gone():
            response.headers.append("set-cookie", cookie)
        return response

    def _form(request: Request, *, status: int = 200, **context: str) -> Response:
        shown = {"suite": "/", "email": "", "step": "", "error": "", **context}
        return screens.show(request, "sign_in.html", status=status, title="Connexion", **shown)

    def _refuse(request: Request, refused: SignInRefused, *, suite: str, email: str) -> Response:
        if refused.why == "throttled":
            minutes = -(-refused.wait_seconds // 60)
            error = f"Trop d’essais : recommencez dans {minutes} minute{'s' if minutes > 1 else ''}."
            response = _form(request, status=429, suite=suite, email=email, error=error)
            response.headers["Retry-After"] = str(refused.wait_seconds)
            return response
        error = WHY.get(refused.why, "")
        status = 200 if refused.why == "code_needed" else 401
        return _form(request, status=status, suite=suite, email=email, step=refused.step, error=error)

    def _with_cookies(response: Response, issued: Issued) -> Response:
        for cookie in guards.cookies.of(issued):
            response.headers.append("set-cookie", cookie)
        return response

    return router


def origin_of(request: Request) -> Origin:
    address = request.client.host if request.client else "?"
    return Origin(address, request.headers.get("user-agent", ""), "page")


def inside(target: str) -> str:
    """A path of ours, or the first page: nobody is sent elsewhere by a link to our sign-in."""
    is_path = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_path and target.isprintable() and "\\" not in target else "/"
