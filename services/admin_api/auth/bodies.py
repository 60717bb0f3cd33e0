"""Bodies: none too large, and those of forms with their token."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.admin_api.auth.callers import Caller
from services.admin_api.auth.csrf import FIELD, HEADER, SAFE_METHODS, Csrf
from services.admin_api.problems import Answerer, Problem

LARGEST_BODY_BYTES = 64 * 1024


class SizeDoor:
    """Refuses bodies over 64 KiB before anything parses them, announced in Content-Length or not."""

    def __init__(self, app: ASGIApp, *, answer: Answerer) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = None if _announces_too_much(scope) else await _read(receive)
        if body is None:
            await self._answer(Request(scope), _too_large())(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)


def _announces_too_much(scope: Scope) -> bool:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return any(length.isdigit() and int(length) > LARGEST_BODY_BYTES for length in lengths)


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or None as soon as it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


def _too_large() -> Problem:
    return Problem(
        413,
        "body_too_large",
        "La demande est trop volumineuse",
        f"Le corps dépasse {LARGEST_BODY_BYTES // 1024} Kio : réduisez-le.",
        headers={"Connection": "close"},
    )


class TokenDoor:
    """Stands behind the size's: unsafe requests of a page's session carry its token."""

    def __init__(self, app: ASGIApp, *, csrf: Csrf, answer: Answerer) -> None:
        self._app = app
        self._csrf = csrf
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        state = scope.get("state", {})
        caller: Caller | None = state.get("caller")
        if caller is None or caller.session_id is None or not state.get("is_page"):
            await self._app(scope, receive, send)
            return
        body = await _read(receive) or b""
        given = Headers(scope=scope).get(HEADER) or await _field(scope, body, receive)
        if self._csrf.is_right(given, caller.session_id):
            await self._app(scope, _replay(body, receive), send)
        else:
            await self._answer(Request(scope), _no_token())(scope, receive, send)


async def _field(scope: Scope, body: bytes, receive: Receive) -> str:
    async with Request(scope, _replay(body, receive)).form() as form:
        value = form.get(FIELD)
    return value if isinstance(value, str) else ""


def _no_token() -> Problem:
    return Problem(
        403,
        "csrf_token_wrong",
        "Formulaire périmé",
        "Ce formulaire n'est plus valable : rechargez la page, puis recommencez. Rien n'a été fait.",
    )
