"""The two cookies of a page's session."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import cookie_parser
from starlette.types import Scope

from services.admin_api.auth.sessions import Issued
from services.admin_api.settings import AdminApiSettings


@dataclass(frozen=True, slots=True)
class Given:
    """What a browser sent; empty where it sent nothing."""

    access: str
    refresh: str


class Cookies:
    """HttpOnly, SameSite=Lax: a link from a mail or from Slack opens a page, a form of another site sends
    nothing. `__Host-` and Secure but in development, whose pages are served by plain HTTP."""

    def __init__(self, settings: AdminApiSettings) -> None:
        prefix = "" if settings.is_plain_http else "__Host-"
        self._access_name = f"{prefix}relance_access"
        self._refresh_name = f"{prefix}relance_refresh"
        self._flags = "Path=/; HttpOnly; SameSite=Lax" + ("" if settings.is_plain_http else "; Secure")
        self._seconds = round(settings.session_idle_hours * 3600)

    def read(self, scope: Scope) -> Given:
        raw = "; ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie")
        cookies = cookie_parser(raw)
        return Given(cookies.get(self._access_name, ""), cookies.get(self._refresh_name, ""))

    def of(self, issued: Issued) -> list[str]:
        """`Set-Cookie` values."""
        values = [self._set(self._access_name, issued.access, self._seconds)]
        if issued.refresh is not None:
            values.append(self._set(self._refresh_name, issued.refresh, self._seconds))
        return values

    def gone(self) -> list[str]:
        return [self._set(name, "", 0) for name in (self._access_name, self._refresh_name)]

    def _set(self, name: str, value: str, seconds: int) -> str:
        return f"{name}={value}; {self._flags}; Max-Age={seconds}"
