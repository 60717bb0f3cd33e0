"""What every answer says to the browser; and an answer for what went wrong in a way that nobody foresaw."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.admin_api.problems import Answerer, Problem

log = logging.getLogger("relance.admin_api")

# Nothing inline and nothing from elsewhere; what is framed is our own.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CSP,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would send « Origin: null » with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex, nofollow",
}
STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"


class HeadersDoor:
    """The outermost: every answer carries them, those of refusals and accidents too. What a route says
    itself of one of them stays."""

    def __init__(self, app: ASGIApp, *, answer: Answerer, is_plain_http: bool) -> None:
        self._app = app
        self._answer = answer
        self._headers = {**HEADERS}
        if not is_plain_http:
            self._headers["Strict-Transport-Security"] = STRICT_TRANSPORT

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if is_started:
                raise
            await self._answer(Request(scope), _accident())(scope, receive, send_with_headers)


def _accident() -> Problem:
    return Problem(
        500,
        "internal_error",
        "Une erreur s'est produite",
        "Ce n'est pas de votre fait : le service l'a notée. Réessayez, ou prévenez l'équipe technique.",
    )


class CorsDoor:
    """The API, and nothing else, for scripts of the origins that settings name. Never with cookies."""

    def __init__(self, app: ASGIApp, *, origins: str) -> None:
        self._app = app
        self._shared = CORSMiddleware(
            app,
            allow_origin_regex=origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=("Authorization", "X-Api-Key", "Content-Type", "Idempotency-Key", "traceparent"),
            expose_headers=("Location", "Retry-After"),
            allow_credentials=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_api = scope["type"] == "http" and scope["path"].startswith("/api/")
        await (self._shared if is_api else self._app)(scope, receive, send)
