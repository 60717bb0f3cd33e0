"""Who may come in. Everything is closed but what says of itself that it is open.

The doors stand in front of the routes, so that nothing of a request is read or parsed for a stranger, and a
route that is added later is closed without anybody thinking of it.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from services.admin_api.auth.bodies import SizeDoor, TokenDoor
from services.admin_api.auth.callers import CLOSED, Caller
from services.admin_api.auth.csrf import SAFE_METHODS, is_from_our_pages
from services.admin_api.auth.guards import Guards
from services.admin_api.auth.headers import CorsDoor, HeadersDoor
from services.admin_api.auth.routing import Entry, RouteTable
from services.admin_api.auth.sessions import Issued, Origin
from services.admin_api.problems import Answerer, Problem, outage_problem, wants_page
from services.admin_api.settings import AdminApiSettings

SIGN_IN_PATH = "/connexion"


class EntryDoor:
    """Finds out who calls, and lets through whom the route lets in. Reads heads, never bodies."""

    def __init__(self, app: ASGIApp, *, routes: RouteTable, guards: Guards, answer: Answerer) -> None:
        self._app = app
        self._routes = routes
        self._guards = guards
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            visit = _Visit(scope, self._routes.find(scope["method"], scope["path"]), self._guards)
            try:
                await visit.decide()
            except (SQLAlchemyError, OSError) as error:
                visit.refusal = outage_problem(error)
            await self._go_on(visit, scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _go_on(self, visit: _Visit, scope: Scope, receive: Receive, send: Send) -> None:
        send = _with_cookies(send, visit.new_cookies)
        if visit.refusal is not None:
            response = _to_sign_in(scope, visit) or self._answer(Request(scope), visit.refusal)
            await response(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["caller"], state["is_page"] = visit.caller, visit.is_page
        await self._app(scope, receive, send)


class _Visit:
    """One request at the door: `refusal` None, it may go in."""

    def __init__(self, scope: Scope, entry: Entry | None, guards: Guards) -> None:
        self._scope = scope
        self._headers = Headers(scope=scope)
        self._guards = guards
        self._entry = entry
        self._need = CLOSED if entry is None else entry.need
        self.is_page = entry.need.is_page if entry is not None else not self._brings_key
        self.caller: Caller | None = None
        self.refusal: Problem | None = None
        self.new_cookies: list[str] = []

    @property
    def _brings_key(self) -> bool:
        has_header = "x-api-key" in self._headers or "authorization" in self._headers
        return has_header or str(self._scope["path"]).startswith("/api/")

    @property
    def _address(self) -> str:
        client = self._scope.get("client")
        return client[0] if client else "?"

    async def decide(self) -> None:
        is_unsafe = self._scope["method"] not in SAFE_METHODS
        # Also of the open ones: nobody is to be signed in as somebody else by another site.
        is_form = self._entry is not None and self.is_page and is_unsafe
        if is_form and not is_from_our_pages(self._headers):
            self.refusal = _foreign_form()
            return
        if self._need.is_open:
            return
        self.caller = await (self._by_cookies() if self.is_page else self._by_header())
        if self.refusal is not None:
            return
        if self.caller is None:
            self.refusal = _nobody()
        elif not self._need.is_met_by(self.caller):
            # Where there is nothing, nobody is told that he may not have it.
            self.refusal = _nothing_here() if self._entry is None else _too_low()

    async def _by_header(self) -> Caller | None:
        keys, bearers = self._headers.getlist("x-api-key"), self._headers.getlist("authorization")
        if len(keys) + len(bearers) > 1:
            self.refusal = _two_at_once()
            return None
        if keys:
            caller = await self._guards.keys.find(keys[0].encode("latin-1"), self._address)
            self.refusal = None if caller else _wrong_key()
            return caller
        if bearers:
            scheme, _, token = bearers[0].partition(" ")
            is_bearer = scheme.lower() == "bearer"
            caller = await self._guards.sessions.find(token, "api", self._address) if is_bearer else None
            self.refusal = None if caller else _wrong_token()
            return caller
        return None

    async def _by_cookies(self) -> Caller | None:
        sessions, cookies = self._guards.sessions, self._guards.cookies
        given = cookies.read(self._scope)
        caller = await sessions.find(given.access, "page", self._address) if given.access else None
        if caller is not None or not given.refresh:
            return caller
        origin = Origin(self._address, self._headers.get("user-agent", ""), "page")
        issued: Issued | None = await sessions.refresh(given.refresh, origin)
        if issued is None:
            self.new_cookies = cookies.gone()
            return None
        self.new_cookies = cookies.of(issued)
        return await sessions.find(issued.access, "page", self._address)


def _with_cookies(send: Send, cookies: list[str]) -> Send:
    """Unless the route says something of cookies itself, such as that they are gone."""
    if not cookies:
        return send

    async def send_with_cookies(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if "set-cookie" not in headers:
                for cookie in cookies:
                    headers.append("set-cookie", cookie)
        await send(message)

    return send_with_cookies


def _to_sign_in(scope: Scope, visit: _Visit) -> Response | None:
    """For a browser that nobody is signed in with; htmx is told in a header of its own."""
    if visit.caller is not None or not visit.is_page or not wants_page(Request(scope)):
        return None
    if visit.refusal is None or visit.refusal.status != HTTPStatus.UNAUTHORIZED:
        return None
    headers = Headers(scope=scope)
    if "hx-request" in headers:
        return Response(status_code=401, headers={"HX-Redirect": SIGN_IN_PATH})
    if scope["method"] not in SAFE_METHODS:
        return RedirectResponse(SIGN_IN_PATH, 303)
    asked = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
    target = SIGN_IN_PATH if asked == "/" else f"{SIGN_IN_PATH}?suite={quote(asked, safe='')}"
    return RedirectResponse(target, 303)


def _refused(code: str, detail: str) -> Problem:
    return Problem(401, code, "Accès refusé", detail, headers={"WWW-Authenticate": "ApiKey, Bearer"})


def _nobody() -> Problem:
    return _refused("api_key_missing", "Ajoutez l'en-tête X-Api-Key, ou Authorization: Bearer.")


def _wrong_key() -> Problem:
    return _refused("api_key_wrong", "La clé de l'en-tête X-Api-Key n'est pas la bonne : vérifiez-la.")


def _wrong_token() -> Problem:
    return _refused("token_wrong", "Ce jeton n'est pas valable, ou ne l'est plus : reconnectez-vous.")


def _two_at_once() -> Problem:
    return _refused("credentials_twice", "Une seule clé, ou un seul jeton, par demande : retirez l'autre.")


def _too_low() -> Problem:
    return Problem(
        403,
        "not_allowed",
        "Votre rôle ne le permet pas",
        "Demandez à un administrateur de le faire, ou de changer votre rôle.",
    )


def _nothing_here() -> Problem:
    return Problem(404, "not_found", "Introuvable", "Rien n'existe à cette adresse : vérifiez-la.")


def _foreign_form() -> Problem:
    return Problem(
        403,
        "foreign_form",
        "Demande venue d'ailleurs",
        "Cette demande ne vient pas d'une page de Relance : rien n'a été fait. Recommencez depuis la page.",
    )


def close_doors(app: FastAPI, settings: AdminApiSettings, guards: Guards, answer: Answerer) -> None:
    """Added last stands first: who calls is known before a body is read."""
    app.add_middleware(TokenDoor, csrf=guards.csrf, answer=answer)
    app.add_middleware(SizeDoor, answer=answer)
    app.add_middleware(EntryDoor, routes=RouteTable(app), guards=guards, answer=answer)
    if settings.cors_allow_origin:
        app.add_middleware(CorsDoor, origins=settings.cors_allow_origin)
    if settings.trusted_proxies:
        proxies = [proxy.strip() for proxy in settings.trusted_proxies.split(",")]
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=proxies)
    app.add_middleware(HeadersDoor, answer=answer, is_plain_http=settings.is_plain_http)
