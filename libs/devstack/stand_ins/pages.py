"""What the stand-ins' pages have in common: the frame, the style, the buttons for bad days, the headers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from libs.devstack.stand_ins.trouble import Simulation, Trouble

FOLDER = Path(__file__).parent / "templates"
PARIS = ZoneInfo("Europe/Paris")
STYLE = (FOLDER / "style.css").read_text(encoding="utf-8")

BUTTONS: Mapping[str, tuple[str, Trouble]] = {
    "slow": ("Être lent une fois", Trouble(manner="slow", delay_seconds=1.5)),
    "down": ("Tomber en panne", Trouble(manner="down", times=0)),
    "limited": ("Dire « trop vite » (429)", Trouble(manner="limited", retry_after_seconds=2)),
    "lost": ("Perdre une réponse", Trouble(manner="lost")),
    "nonsense": ("Dire n’importe quoi", Trouble(manner="nonsense")),
}

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page(folder: Path, template: str, simulation: Simulation, **values: object) -> HTMLResponse:
    """A template of the stand-in's own folder, inside the common frame."""
    environment = Environment(
        loader=FileSystemLoader([folder, FOLDER]), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["moment"] = _moment
    waiting = [
        (BUTTONS[each.manner][0], each.times) for each in simulation.waiting() if each.manner in BUTTONS
    ]
    text = environment.get_template(template).render(style=STYLE, buttons=BUTTONS, waiting=waiting, **values)
    return HTMLResponse(text, headers=HEADERS)


def buttons(simulation: Simulation) -> APIRouter:
    """What the buttons of a page post to."""
    routes = APIRouter(include_in_schema=False)

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
