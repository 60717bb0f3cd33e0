"""The bad days that a test, or a button, can order of a stand-in; the same words for each of them."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Literal, TypeAlias

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Manner: TypeAlias = Literal["slow", "down", "limited", "lost", "nonsense", "refused"]


class Trouble(BaseModel):
    """What is done, instead of the ordinary, with the next `times` requests (0: until it is reset).

    slow: waits, then as usual · down: `status`, nothing done · limited: 429 with Retry-After · lost: does it,
    and drops the connection · nonsense: 200 and a page of somebody else's · refused: `status` and `word`.
    Each waits `delay_seconds` first.
    """

    model_config = ConfigDict(frozen=True)

    manner: Manner
    times: int = Field(default=1, ge=0)
    status: int = Field(default=503, ge=400, le=599)
    word: str = ""
    retry_after_seconds: int | None = None
    delay_seconds: float = Field(default=0.0, ge=0, le=600)


class Simulation:
    """Ordered troubles, first come, first served."""

    def __init__(self) -> None:
        self._ordered: list[Trouble] = []

    def order(self, trouble: Trouble) -> None:
        self._ordered.append(trouble)

    def reset(self) -> None:
        self._ordered.clear()

    def waiting(self) -> list[Trouble]:
        return list(self._ordered)

    async def take(self) -> Trouble | None:
        """The trouble for this request, counted down, its delay waited for; None on an ordinary day."""
        if not self._ordered:
            return None
        trouble = self._ordered[0]
        if trouble.times == 1:
            del self._ordered[0]
        elif trouble.times:
            self._ordered[0] = trouble.model_copy(update={"times": trouble.times - 1})
        await asyncio.sleep(trouble.delay_seconds)
        return trouble


def answer_without_doing(trouble: Trouble) -> Response | None:
    """None where the request is done all the same."""
    match trouble.manner:
        case "down" | "refused":
            return PlainTextResponse(trouble.word or "en panne", trouble.status, headers=_wait(trouble))
        case "limited":
            return PlainTextResponse("rate_limited", HTTPStatus.TOO_MANY_REQUESTS, headers=_wait(trouble))
        case "nonsense":
            return HTMLResponse("<h1>It works!</h1>")
        case _:
            return None


def _wait(trouble: Trouble) -> dict[str, str]:
    wait = trouble.retry_after_seconds
    return {} if wait is None else {"Retry-After": str(wait)}


class LostAnswer(Response):
    """The connection breaks in the middle of the answer: the caller cannot know what happened."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": head})


def controls(simulation: Simulation) -> APIRouter:
    """The tests' orders, at `/_sim/trouble`."""
    router = APIRouter()

    @router.post("/_sim/trouble", status_code=201)
    async def order_trouble(trouble: Trouble) -> Trouble:
        simulation.order(trouble)
        return trouble

    @router.get("/_sim/trouble")
    async def list_troubles() -> list[Trouble]:
        return simulation.waiting()

    @router.delete("/_sim/trouble", status_code=204)
    async def forget_troubles() -> None:
        simulation.reset()

    return router
