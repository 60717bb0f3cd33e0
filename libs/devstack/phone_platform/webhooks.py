"""The door that Relance knocks at: verify, do, confirm; or whatever was ordered instead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.types import Receive, Scope, Send

from libs.devstack.phone_platform.models import Received, Trouble
from libs.devstack.phone_platform.simulation import Simulation
from libs.devstack.phone_platform.store import LineStore

PATH = "/webhooks/relance"


def router(store: LineStore, simulation: Simulation, secrets: Sequence[str]) -> APIRouter:
    routes = APIRouter()
    door = _Door(store, simulation, [Webhook(secret) for secret in secrets])

    @routes.post(PATH)
    async def hear(request: Request) -> Response:
        return await door.hear(await request.body(), request.headers)

    return routes


class _Door:
    def __init__(self, store: LineStore, simulation: Simulation, verifiers: list[Webhook]) -> None:
        self._store = store
        self._simulation = simulation
        self._verifiers = verifiers

    async def hear(self, body: bytes, headers: Mapping[str, str]) -> Response:
        said = _read(body)
        data = said.get("data") or {}
        company_id = str(data.get("company_id", ""))
        trouble = self._simulation.take(company_id)
        if trouble is not None:
            await asyncio.sleep(trouble.delay_seconds)
        disbelief = self._disbelieve(body, headers)
        answer, words = self._answer(headers.get("webhook-id", ""), data, disbelief, trouble)
        self._store.note(
            Received(
                webhook_id=headers.get("webhook-id", ""),
                at=datetime.now(UTC),
                type=str(said.get("type", "")),
                company_id=company_id,
                trouble=disbelief,
                answer=words,
            )
        )
        return answer

    def _disbelieve(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        """Why, or None for a webhook that one of the secrets signed within the last minutes."""
        why = "aucun secret n'est configuré"
        for verifier in self._verifiers:
            try:
                verifier.verify(body, dict(headers))
            except WebhookVerificationError as error:
                why = str(error)
            except ValueError:
                why = "les en-têtes de signature sont illisibles"
            else:
                return None
        return why

    def _answer(
        self, webhook_id: str, data: dict[str, Any], disbelief: str | None, trouble: Trouble | None
    ) -> tuple[Response, str]:
        if trouble is not None and trouble.manner == "down":
            return _refuse(trouble), f"{trouble.status}, rien n'est fait"
        if disbelief is not None:
            return JSONResponse({"error": disbelief}, HTTPStatus.UNAUTHORIZED), "401, rien n'est fait"
        if trouble is not None and trouble.manner in _WITHOUT_DOING:
            return _without_doing(webhook_id, trouble)
        is_done, words = self._store.do(webhook_id, data)
        if trouble is not None and trouble.manner == "lost":
            return _LostAnswer(), f"{words}, mais la réponse est perdue"
        return _say(webhook_id, is_done=is_done, answer=words), words


_WITHOUT_DOING = ("no", "nonsense", "taken")


def _without_doing(webhook_id: str, trouble: Trouble) -> tuple[Response, str]:
    if trouble.manner == "no":
        return _say(webhook_id, is_done=False, answer="ligne inconnue"), "non"
    if trouble.manner == "taken":
        return Response(status_code=HTTPStatus.ACCEPTED), "pris, pas encore fait"
    return HTMLResponse("<h1>It works!</h1>"), "n'importe quoi"


def _say(webhook_id: str, *, is_done: bool, answer: str) -> Response:
    return JSONResponse({"id": webhook_id, "is_done": is_done, "answer": answer})


def _refuse(trouble: Trouble) -> Response:
    wait = trouble.retry_after_seconds
    headers = {} if wait is None else {"Retry-After": str(wait)}
    return Response("en panne", trouble.status, headers=headers)


def _read(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


class _LostAnswer(Response):
    """The connection breaks in the middle of the answer: the caller cannot know what happened."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": head})
