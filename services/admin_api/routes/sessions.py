"""Signing in by API: a bearer token of a few minutes, and a refresh token that is good once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from services.admin_api.auth import CallerOf, Guards, Issued, Origin, SignInRefused, open_api, own_api
from services.admin_api.domain import Role
from services.admin_api.problems import Problem

Text = Annotated[str, Field(max_length=500)]


class SignInForm(BaseModel):
    """`code`: the six digits, of those who have enrolled for them."""

    model_config = ConfigDict(extra="forbid")

    email: Text
    password: Text
    code: Text = ""


class RefreshForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    refresh_token: Text


class TokensAnswer(BaseModel):
    """`access_token` goes into Authorization: Bearer for `expires_in` seconds; `refresh_token` gets the next
    pair, once: handed in twice it ends the session."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - a scheme
    expires_in: int
    refresh_token: str


class MeAnswer(BaseModel):
    email: str
    role: Role


def create_router(guards: Guards, *, access_seconds: float) -> APIRouter:
    router = APIRouter(prefix="/api/sessions")

    def answer(issued: Issued) -> TokensAnswer:
        return TokensAnswer(
            access_token=issued.access, expires_in=int(access_seconds), refresh_token=issued.refresh or ""
        )

    @router.post("", status_code=201)
    @open_api()
    async def sign_in(request: Request, form: SignInForm) -> TokensAnswer:
        """401 for a wrong address, password or code; 429 after too many tries."""
        try:
            issued = await guards.sessions.sign_in(
                form.email, form.password, _origin(request), code=form.code
            )
        except SignInRefused as refused:
            raise _problem(refused) from refused
        return answer(issued)

    @router.post("/refresh")
    @open_api()
    async def refresh(request: Request, form: RefreshForm) -> TokensAnswer:
        issued = await guards.sessions.refresh(form.refresh_token, _origin(request))
        if issued is None:
            raise _refused("refresh_wrong", "Ce jeton n'est pas valable, ou a déjà servi : reconnectez-vous.")
        return answer(issued)

    @router.get("/current")
    @own_api()
    async def show_current(caller: CallerOf) -> MeAnswer:
        assert caller.role is not None
        return MeAnswer(email=caller.name, role=caller.role)

    @router.delete("/current", status_code=204)
    @own_api()
    async def sign_out(caller: CallerOf) -> None:
        """The session is over, its tokens with it."""
        await guards.sessions.sign_out(caller)

    return router


def _origin(request: Request) -> Origin:
    address = request.client.host if request.client else "?"
    return Origin(address, request.headers.get("user-agent", ""), "api")


def _problem(refused: SignInRefused) -> Problem:
    match refused.why:
        case "throttled":
            wait = {"Retry-After": str(refused.wait_seconds)}
            return Problem(429, "too_many_tries", "Trop d'essais", "Attendez, puis réessayez.", headers=wait)
        case "code_needed":
            return _refused("code_needed", "Ajoutez « code », les six chiffres de votre application.")
        case "code_wrong":
            return _refused("code_wrong", "Ce code n'est pas le bon, ou a déjà servi : attendez le suivant.")
        case _:
            return _refused("credentials_wrong", "Adresse ou mot de passe incorrects.")


def _refused(code: str, detail: str) -> Problem:
    return Problem(401, code, "Accès refusé", detail, headers={"WWW-Authenticate": "Bearer"})
