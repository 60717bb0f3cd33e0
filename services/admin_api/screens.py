"""Pages: templates with what every page shows, and problems as pages.

A page is a route marked `@page(role)` that answers `screens.show(request, "its.html", …)`, with a template
that extends `base.html`, and a line of NAVIGATION if people are to find it.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from libs.common.clock import Clock
from services.admin_api.auth.callers import Caller
from services.admin_api.auth.csrf import FIELD, Csrf
from services.admin_api.domain import Role, mask_email, mask_name, mask_phone, mask_words
from services.admin_api.problems import Problem, wants_page
from services.admin_api.words import WORDS

ROOM = Path(__file__).parent
PARIS = ZoneInfo("Europe/Paris")


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation, for those whose role covers `role`."""

    label: str
    path: str
    role: Role = Role.READER


NAVIGATION: Sequence[Place] = (
    Place("Envois", "/envois"),
    Place("Mis de côté", "/mis-de-cote"),
    Place("Routines", "/routines"),
    Place("Journal", "/journal", Role.ADMIN),
)
"""Only pages that there are."""


def asset_files() -> Mapping[str, Path]:
    """What browsers load, by name: our style, and htmx, whose wheel is not imported."""
    spec = importlib.util.find_spec("js_lib_htmx")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("django-js-lib-htmx, which brings htmx, is not installed")
    htmx = next(Path(spec.submodule_search_locations[0]).rglob("htmx.min.js"))
    ours = {name: ROOM / "static" / name for name in ("admin.css", "icon.svg")}
    return {**ours, "htmx.min.js": htmx}


class Screens:
    """Renders. Personal data are masked by what the templates ask for (`masked`), where the caller's role
    says so."""

    def __init__(self, csrf: Csrf, *, clock: Clock) -> None:
        self._csrf = csrf
        self._clock = clock
        self.assets = {name: path.read_bytes() for name, path in asset_files().items()}
        self._templates = Environment(
            loader=FileSystemLoader(ROOM / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(moment=moment, day=day, ago=ago, word=word, ident=short_id)
        self._templates.globals.update(asset=self.address_of, csrf_field=FIELD)

    def show(self, request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """`context`: what the template names; `title` always."""
        caller: Caller | None = request.scope.get("state", {}).get("caller")
        if not request.scope.get("state", {}).get("is_page"):
            caller = None
        shown = {
            "caller": caller,
            "path": request.url.path,
            "navigation": [place for place in NAVIGATION if caller is not None and caller.may(place.role)],
            "csrf_token": "" if caller is None or caller.session_id is None else self._token(caller),
            "now": self._clock(),
            "masked": masks(caller is None or caller.is_masked),
            **context,
        }
        return HTMLResponse(self._templates.get_template(template).render(shown), status)

    def answer(self, request: Request, problem: Problem) -> Response:
        """A problem as a page where a browser asks for one, else as JSON."""
        if not wants_page(request):
            return problem.response()
        page = self.show(
            request, "problem.html", status=problem.status, title=problem.body["title"], problem=problem.body
        )
        page.headers.update(problem.headers or {})
        return page

    def _token(self, caller: Caller) -> str:
        assert caller.session_id is not None
        return self._csrf.token(caller.session_id)

    def address_of(self, name: str) -> str:
        """With the beginning of its hash: it may be kept for ever, and a new one has another address."""
        return f"/statique/{hashlib.sha256(self.assets[name]).hexdigest()[:12]}/{name}"


def masks(is_masked: bool) -> Mapping[str, Any]:
    """Functions by what they are for; they show everything to those who may see it."""

    def same(text: object) -> object:
        return text

    if not is_masked:
        return {"email": same, "phone": same, "person": same, "words": same}
    return {"email": mask_email, "phone": mask_phone, "person": mask_name, "words": mask_words}


def moment(at: datetime | None) -> str:
    """« 25-11-2026 à 10:02 », in Paris."""
    return "—" if at is None else f"{at.astimezone(PARIS):%d-%m-%Y à %H:%M}"


def day(at: datetime | None) -> str:
    """« 25-11-2026 », in Paris."""
    return "—" if at is None else f"{at.astimezone(PARIS):%d-%m-%Y}"


_UNITS = ((86_400, "jour", "jours"), (3600, "heure", "heures"), (60, "minute", "minutes"))


def ago(at: datetime, now: datetime) -> str:
    """« il y a 3 minutes », « dans 2 jours »."""
    seconds = (now - at).total_seconds()
    for size, one, more in _UNITS:
        count = int(abs(seconds) // size)
        if count:
            span = f"{count} {one if count == 1 else more}"
            return f"il y a {span}" if seconds > 0 else f"dans {span}"
    return "à l’instant"


def word(code: str | None, family: str) -> str:
    """The French word for a code of ours; a code that has none is shown as it is."""
    return "—" if code is None else WORDS.get(family, {}).get(code, code)


def short_id(value: object) -> str:
    """The beginning of an id, enough to tell it from its neighbours."""
    return str(value)[:8]


def from_iso(text: str | None) -> datetime | None:
    """A moment as another service's JSON says it."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
