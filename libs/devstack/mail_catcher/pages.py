"""The web page: a list, a mail as its reader sees it, its text, its headers, its source."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from email.utils import parseaddr
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from libs.devstack.mail_catcher import reading
from libs.devstack.mail_catcher.api import get
from libs.devstack.mail_catcher.store import MailStore

FOLDER = Path(__file__).parent / "templates"
PARIS = ZoneInfo("Europe/Paris")
MAILS_A_PAGE = 50
SCRIPT = (FOLDER / "refresh.txt").read_text()
TABS = {"html": "Aperçu", "text": "Texte", "headers": "En-têtes", "source": "Source"}
WIDTHS = {"large": "Ordinateur", "narrow": "Téléphone"}

_SCRIPT_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
PAGE_POLICY = (
    f"default-src 'none'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    f"script-src 'sha256-{_SCRIPT_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# The mail's own HTML: styles and inline pictures only; links open elsewhere; no scripts, forms or fetches.
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

templates = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)


def router(store: MailStore, *, smtp_address: str) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    _add_list(routes, store, smtp_address)
    _add_mail(routes, store)
    return routes


def _add_list(routes: APIRouter, store: MailStore, smtp_address: str) -> None:
    @routes.get("/")
    async def show_mails(text: str = "", kind: str = "", page: int = 1) -> HTMLResponse:
        found = list(store.search(kind=kind, text=text))
        first = (max(page, 1) - 1) * MAILS_A_PAGE
        return _page(
            "mails.html",
            mails=list(islice(found, first, first + MAILS_A_PAGE)),
            total=len(found),
            page=max(page, 1),
            pages=max(1, -(-len(found) // MAILS_A_PAGE)),
            text=text,
            kind=kind,
            kinds=store.kinds(),
            smtp_address=smtp_address,
            script=SCRIPT,
        )

    @routes.post("/delete")
    async def delete_mails() -> RedirectResponse:
        store.delete_all()
        return RedirectResponse("/", status_code=303)

    @routes.get("/style.css")
    async def show_style() -> Response:
        return Response((FOLDER / "style.css").read_bytes(), media_type="text/css")


def _add_mail(routes: APIRouter, store: MailStore) -> None:
    @routes.get("/mails/{mail_id}")
    def show_mail(mail_id: str, tab: str = "html", width: str = "large") -> HTMLResponse:
        mail, source = get(store, mail_id)
        full = reading.full_mail(mail, source)
        return _page(
            "mail.html",
            mail=full,
            tab=tab if tab in TABS and (tab != "html" or full.html is not None) else "text",
            tabs=TABS,
            width=width if width in WIDTHS else "large",
            widths=WIDTHS,
            source=source.decode(errors="replace") if tab == "source" else "",
        )

    @routes.get("/mails/{mail_id}/html")
    def show_html(mail_id: str) -> HTMLResponse:
        mail, source = get(store, mail_id)
        html = reading.full_mail(mail, source).html
        if html is None:
            raise HTTPException(404, "Ce mail n'a pas de partie HTML.")
        return _secured(HTMLResponse(html), MAIL_POLICY)


def _page(name: str, **values: Any) -> HTMLResponse:
    return _secured(HTMLResponse(templates.get_template(name).render(values)), PAGE_POLICY)


def _secured(response: HTMLResponse, policy: str) -> HTMLResponse:
    response.headers.update(
        {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
    )
    return response


def _moment(received_at: datetime) -> str:
    return f"{received_at.astimezone(PARIS):%d/%m/%Y %H:%M:%S}"


def _name(address: str) -> str:
    """`Name` of `Name <address>`, else the address."""
    name, bare = parseaddr(address)
    return name or bare or address


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1000:.1f}".replace(".", ",") + "\u00a0ko"


templates.filters.update(moment=_moment, name=_name, size=_size)
