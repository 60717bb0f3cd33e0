"""The page: each SMS as a phone would show it, what was reported of it, and buttons for bad days."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from libs.devstack.sms_provider.models import Fate, Trouble
from libs.devstack.sms_provider.reporting import Reporter
from libs.devstack.sms_provider.simulation import Simulation
from libs.devstack.sms_provider.store import SmsStore

FOLDER = Path(__file__).parent / "templates"
PARIS = ZoneInfo("Europe/Paris")
STYLE = (FOLDER / "style.css").read_text(encoding="utf-8")
SHOWN = 100

STATUSES = {
    "ENROUTE": ("en route", "restricted"),
    "DELIVERED": ("reçu", "good"),
    "UNDELIVERED": ("non remis", "bad"),
    "UNDELIVERABLE": ("impossible à remettre", "bad"),
}
BUTTONS = {
    "slow": ("Être lent une fois", Trouble(manner="slow", delay_seconds=1.5)),
    "down": ("Tomber en panne", Trouble(manner="down", times=0)),
    "busy": ("Dire « trop vite » (429)", Trouble(manner="down", status=429, retry_after_seconds=3)),
    "lost": ("Perdre une réponse", Trouble(manner="lost")),
    "refused": ("Refuser une fois", Trouble(manner="refused")),
    "nonsense": ("Dire n’importe quoi", Trouble(manner="nonsense")),
}
FATES = {
    "undelivered": ("Ne plus rien remettre", Fate(words=("ENROUTE", "UNDELIVERED"))),
    "shuffled": ("Rapports mêlés, deux fois chacun", Fate(times=2, is_shuffled=True)),
    "mute": ("Ne plus rien rapporter", Fate(words=())),
}

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

templates = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)


def router(store: SmsStore, simulation: Simulation, reporter: Reporter) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    back = RedirectResponse("/", status_code=303)

    @routes.get("/")
    async def show() -> HTMLResponse:
        page = templates.get_template("sms.html").render(
            books=store.books(limit=SHOWN),
            statuses=STATUSES,
            buttons=BUTTONS,
            fates=FATES,
            waiting=simulation.waiting(),
            fate=simulation.fate,
            style=STYLE,
        )
        return HTMLResponse(page, headers=HEADERS)

    @routes.post("/trouble")
    async def make_trouble(manner: str = Form()) -> RedirectResponse:
        if manner not in BUTTONS:
            raise HTTPException(404, "Ce bouton n'existe pas.")
        simulation.order(BUTTONS[manner][1])
        return back

    @routes.post("/fate")
    async def choose_fate(fate: str = Form()) -> RedirectResponse:
        if fate not in FATES:
            raise HTTPException(404, "Ce bouton n'existe pas.")
        simulation.fate = FATES[fate][1]
        return back

    @routes.post("/stop")
    async def answer_stop(number: str = Form()) -> RedirectResponse:
        reporter.reply(number, "STOP")
        return back

    @routes.post("/behave")
    async def behave() -> RedirectResponse:
        simulation.reset()
        return back

    return routes


def _moment(at: datetime) -> str:
    return f"{at.astimezone(PARIS):%d/%m/%Y %H:%M:%S}"


templates.filters["moment"] = _moment
