"""The page: each company's lines, what came from Relance, and buttons for bad days."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from libs.devstack.phone_platform.models import Trouble
from libs.devstack.phone_platform.simulation import Simulation
from libs.devstack.phone_platform.store import LineStore

FOLDER = Path(__file__).parent / "templates"
PARIS = ZoneInfo("Europe/Paris")
STYLE = (FOLDER / "style.css").read_text(encoding="utf-8")
SHOWN = 100

STATES = {"normal": "normale", "restricted": "restreinte", "cut": "coupée"}
BUTTONS = {
    "slow": ("Être lente une fois", Trouble(manner="slow", delay_seconds=1.5)),
    "down": ("Tomber en panne", Trouble(manner="down", times=0)),
    "lost": ("Perdre une réponse", Trouble(manner="lost")),
    "no": ("Dire non une fois", Trouble(manner="no")),
    "nonsense": ("Dire n’importe quoi", Trouble(manner="nonsense")),
    "taken": ("Prendre sans confirmer", Trouble(manner="taken")),
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


def router(store: LineStore, simulation: Simulation) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def show() -> HTMLResponse:
        books = store.books()
        page = templates.get_template("lines.html").render(
            lines=books.lines,
            received=books.received[:SHOWN],
            states=STATES,
            buttons=BUTTONS,
            waiting=[(BUTTONS[each.manner][0], each.times) for each in simulation.waiting()],
            style=STYLE,
        )
        return HTMLResponse(page, headers=HEADERS)

    @routes.post("/trouble")
    async def make_trouble(manner: str = Form()) -> RedirectResponse:
        if manner not in BUTTONS:
            raise HTTPException(404, "Ce bouton n'existe pas.")
        simulation.order(BUTTONS[manner][1])
        return RedirectResponse("/", status_code=303)

    @routes.post("/behave")
    async def behave() -> RedirectResponse:
        simulation.reset()
        return RedirectResponse("/", status_code=303)

    return routes


def _moment(at: datetime) -> str:
    return f"{at.astimezone(PARIS):%d/%m/%Y %H:%M:%S}"


templates.filters["moment"] = _moment
