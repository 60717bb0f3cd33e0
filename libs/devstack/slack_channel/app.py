"""The webhook's door, the page, the JSON of the books and the tests' orders."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from libs.devstack.stand_ins import pages
from libs.devstack.stand_ins.store import Store
from libs.devstack.stand_ins.trouble import LostAnswer, Simulation, answer_without_doing, controls

PATH = "/services/TRELANCE/BRELANCE/of-this-machine-only"
KEPT = 200
SPACING_SECONDS = 1.0
MOST_BLOCKS = 50
LONGEST_SECTION = 3000
LONGEST_MESSAGE = 13_000
FOLDER = Path(__file__).parent / "templates"


class Posted(BaseModel):
    """A message of the channel, newest first in the books."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    text: str
    sections: tuple[str, ...]


class Books(BaseModel):
    """The channel, and how many requests were answered how."""

    model_config = ConfigDict(frozen=True)

    posted: tuple[Posted, ...] = ()
    answers: dict[str, int] = {}


class Channel:
    """Takes a message a second, as Slack says of itself."""

    def __init__(self, folder: Path) -> None:
        self._store = Store(folder, Books())
        self._taken_at = -SPACING_SECONDS

    @property
    def books(self) -> Books:
        return self._store.books

    def note(self, answer: str) -> None:
        answers = {**self.books.answers, answer: self.books.answers.get(answer, 0) + 1}
        self._store.write(self.books.model_copy(update={"answers": answers}))

    def post(self, body: bytes) -> Response:
        word = _trouble_with(body)
        if word is not None:
            return PlainTextResponse(word, HTTPStatus.BAD_REQUEST)
        if time.monotonic() - self._taken_at < SPACING_SECONDS:
            return PlainTextResponse(
                "rate_limited", HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": "1"}
            )
        self._taken_at = time.monotonic()
        said: dict[str, Any] = json.loads(body)
        sections = tuple(block["text"]["text"] for block in said.get("blocks") or ())
        posted = Posted(at=datetime.now(UTC), text=said["text"], sections=sections)
        self._store.write(self.books.model_copy(update={"posted": (posted, *self.books.posted)[:KEPT]}))
        return PlainTextResponse("ok")


def _trouble_with(body: bytes) -> str | None:
    """Slack's word for what is wrong with a message."""
    try:
        said = json.loads(body)
        sections = [block["text"]["text"] for block in said.get("blocks") or ()]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "invalid_payload"
    if not isinstance(said.get("text"), str) or not said["text"]:
        return "no_text"
    if len(sections) > MOST_BLOCKS or any(not 0 < len(section) <= LONGEST_SECTION for section in sections):
        return "invalid_blocks"
    return "msg_blocks_too_long" if sum(map(len, sections)) > LONGEST_MESSAGE else None


def create_app(data: Path) -> FastAPI:
    channel, simulation = Channel(data), Simulation()
    app = FastAPI(title="Relance: Slack", docs_url=None, redoc_url=None)
    app.include_router(controls(simulation))
    app.include_router(pages.buttons(simulation))

    @app.post("/services/{rest:path}")
    async def post(rest: str, request: Request) -> Response:
        answer = await _answer(request.url.path, await request.body())
        lost = isinstance(answer, LostAnswer)
        channel.note("lost" if lost else str(answer.status_code))
        return answer

    async def _answer(path: str, body: bytes) -> Response:
        trouble = await simulation.take()
        if trouble is not None and (refusal := answer_without_doing(trouble)) is not None:
            return refusal
        if path != PATH:
            return PlainTextResponse("no_service", HTTPStatus.NOT_FOUND)
        done = channel.post(body)
        return LostAnswer() if trouble is not None and trouble.manner == "lost" else done

    @app.get("/api/books")
    async def show_books() -> Books:
        return channel.books

    @app.get("/", include_in_schema=False)
    async def show() -> HTMLResponse:
        return pages.page(FOLDER, "channel.html", simulation, books=channel.books)

    return app
