"""The API's one door, the links themselves, the page, the JSON of the books and the tests' orders."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from libs.devstack.stand_ins import pages
from libs.devstack.stand_ins.store import Store
from libs.devstack.stand_ins.trouble import LostAnswer, Simulation, answer_without_doing, controls

FOLDER = Path(__file__).parent / "templates"
SHOWN = 200


class Link(BaseModel):
    """An alias and where it leads."""

    model_config = ConfigDict(frozen=True)

    alias: str
    url: str
    at: datetime


class Books(BaseModel):
    """All links, newest first, and how many requests came."""

    model_config = ConfigDict(frozen=True)

    links: tuple[Link, ...] = ()
    requests: int = 0


def create_app(data: Path, public_url: str) -> FastAPI:
    store, simulation = Store(data, Books()), Simulation()
    app = FastAPI(title="Relance: TinyURL", docs_url=None, redoc_url=None)
    app.include_router(controls(simulation))
    app.include_router(pages.buttons(simulation))

    @app.post("/create")
    async def create(request: Request) -> Response:
        body = await request.body()
        store.write(store.books.model_copy(update={"requests": store.books.requests + 1}))
        trouble = await simulation.take()
        if trouble is not None and (refusal := answer_without_doing(trouble)) is not None:
            return refusal
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return _error(HTTPStatus.UNAUTHORIZED, 1, "Unauthenticated.")
        url = _url_in(body)
        if url is None:
            return _error(HTTPStatus.UNPROCESSABLE_ENTITY, 5, "The url must be a valid URL.")
        link = Link(alias=secrets.token_hex(4), url=url, at=datetime.now(UTC))
        store.write(store.books.model_copy(update={"links": (link, *store.books.links)}))
        return LostAnswer() if trouble is not None and trouble.manner == "lost" else _made(link, public_url)

    @app.get("/api/books")
    async def show_books() -> Books:
        return store.books

    @app.get("/", include_in_schema=False)
    async def show() -> HTMLResponse:
        links = store.books.links[:SHOWN]
        return pages.page(FOLDER, "links.html", simulation, links=links, public_url=public_url)

    @app.get("/{alias}")
    async def follow(alias: str) -> RedirectResponse:
        for link in store.books.links:
            if link.alias == alias:
                return RedirectResponse(link.url, status_code=301)
        raise HTTPException(404, "Ce lien n'existe pas.")

    return app


def _url_in(body: bytes) -> str | None:
    try:
        url = json.loads(body)["url"]
        parts = urlsplit(url)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname else None


def _made(link: Link, public_url: str) -> JSONResponse:
    data: dict[str, Any] = {
        "domain": "tinyurl.com",
        "alias": link.alias,
        "deleted": False,
        "archived": False,
        "tags": [],
        "analytics": [{"enabled": True, "public": False}],
        "tiny_url": f"{public_url}/{link.alias}",
        "created_at": link.at.isoformat(),
        "expires_at": None,
        "url": link.url,
    }
    return JSONResponse({"data": data, "code": 0, "errors": []})


def _error(status: int, code: int, text: str) -> JSONResponse:
    return JSONResponse({"data": [], "code": code, "errors": [text]}, status)
