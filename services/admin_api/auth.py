"""Who may come in: whoever has the internal key. Everything is closed but what is named here.

Both doors stand in front of the routes, so that nothing of a request is read or parsed for a stranger, and a
route that is added later is closed without anybody thinking of it.
"""

from __future__ import annotations

import hmac

from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.admin_api.problems import Problem

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/metrics"})
HEADER = b"x-api-key"
LARGEST_BODY_BYTES = 64 * 1024


class KeyDoor:
    """Lets through what carries the key in X-Api-Key, compared in constant time."""

    def __init__(self, app: ASGIApp, key: SecretStr) -> None:
        self._app = app
        self._key = key.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._refusal(scope)
        await (self._app if problem is None else problem.response())(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS:
            return None
        given = [value for name, value in scope["headers"] if name == HEADER]
        if not given:
            return _refuse("api_key_missing", "Ajoutez l'en-tête X-Api-Key avec la clé interne.")
        if len(given) == 1 and hmac.compare_digest(given[0], self._key):
            return None
        return _refuse("api_key_wrong", "La clé de l'en-tête X-Api-Key n'est pas la bonne : vérifiez-la.")


def _refuse(code: str, detail: str) -> Problem:
    return Problem(401, code, "Accès refusé", detail, headers={"WWW-Authenticate": "ApiKey"})


class SizeDoor:
    """Refuses bodies over 64 KiB before anything parses them, announced in Content-Length or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = None if _announces_too_much(scope) else await _read(receive)
        if body is None:
            await _too_large().response()(scope, receive, send)
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


def close_doors(app: FastAPI, key: SecretStr) -> None:
    """Added last stands first: the key is asked for before a body is read."""
    app.add_middleware(SizeDoor)
    app.add_middleware(KeyDoor, key=key)
