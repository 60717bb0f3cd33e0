"""smsmode's REST v1, as far as Relance uses it: the same paths, fields and refusals."""

from __future__ import annotations

import asyncio
import hmac
import math
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from gsm0338 import Codec
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from libs.devstack.sms_provider.models import TakenSms, Trouble
from libs.devstack.sms_provider.reporting import Reporter, shape_of
from libs.devstack.sms_provider.simulation import Simulation
from libs.devstack.sms_provider.store import SmsStore

PATH = "/sms/v1/messages"
_SENDER = re.compile(r"[a-zA-Z0-9\s]{1,11}")
_RECIPIENT = re.compile(r"\+?(\d{8,15})", re.ASCII)
_FIELDS = frozenset(
    {"recipient", "body", "from", "refClient", "sentDate", "callbackUrlStatus", "callbackUrlMo"}
)
_LONGEST_REFERENCE = 140
_codec = Codec()


def router(store: SmsStore, simulation: Simulation, reporter: Reporter, key: str) -> APIRouter:
    routes = APIRouter()

    def is_ours(given: str) -> bool:
        return hmac.compare_digest(given.encode(), key.encode())

    @routes.post(PATH)
    async def send(request: Request, x_api_key: Annotated[str, Header()] = "") -> Response:
        if not is_ours(x_api_key):
            return _refuse(HTTPStatus.UNAUTHORIZED, "Invalid API key")
        try:
            body = await request.json()
        except (ClientDisconnect, ValueError):
            return _refuse(HTTPStatus.BAD_REQUEST, "this is no JSON, or was cut off")
        trouble = simulation.take(_digits(body))
        if trouble is not None:
            await asyncio.sleep(trouble.delay_seconds)
        if trouble is not None and trouble.manner in _WITHOUT_TAKING:
            return _without_taking(trouble)
        wrong = _wrong(body)
        if wrong is not None:
            return _refuse(HTTPStatus.BAD_REQUEST, wrong)
        sms = _taken(body)
        store.keep(sms)
        reporter.begin(sms, simulation.fate, body.get("callbackUrlStatus"), body.get("callbackUrlMo"))
        return _answer(sms, trouble)

    @routes.get(PATH)
    async def list_sms(
        page: Annotated[int, Query(ge=1)] = 1,
        page_size: Annotated[int, Query(ge=1, le=100, alias="pageSize")] = 10,
        x_api_key: Annotated[str, Header()] = "",
    ) -> Response:
        if not is_ours(x_api_key):
            return _refuse(HTTPStatus.UNAUTHORIZED, "Invalid API key")
        if (outage := simulation.outage()) is not None:
            return _without_taking(outage)
        shown = store.all()[(page - 1) * page_size : page * page_size]
        return JSONResponse({"items": [shape_of(sms) for sms in shown]})

    @routes.get(PATH + "/{sms_id}")
    async def show(sms_id: str, x_api_key: Annotated[str, Header()] = "") -> Response:
        if not is_ours(x_api_key):
            return _refuse(HTTPStatus.UNAUTHORIZED, "Invalid API key")
        sms = store.find(sms_id)
        return JSONResponse(shape_of(sms)) if sms else _refuse(HTTPStatus.NOT_FOUND, "No such message")

    return routes


_WITHOUT_TAKING = ("down", "silent", "refused")


def _without_taking(trouble: Trouble) -> Response:
    match trouble.manner:
        case "silent":
            return _LostAnswer()
        case "refused":
            return _refuse(HTTPStatus.BAD_REQUEST, "INVALID_PHONE_NUMBER")
    wait = trouble.retry_after_seconds
    headers = {} if wait is None else {"Retry-After": str(wait)}
    return JSONResponse({"errorCode": str(trouble.status), "message": "en panne"}, trouble.status, headers)


def _answer(sms: TakenSms, trouble: Trouble | None) -> Response:
    if trouble is not None and trouble.manner == "lost":
        return _LostAnswer()
    if trouble is not None and trouble.manner == "nonsense":
        return HTMLResponse("<h1>It works!</h1>", HTTPStatus.OK)
    return JSONResponse(shape_of(sms), HTTPStatus.CREATED)


def _refuse(status: HTTPStatus, message: str) -> Response:
    return JSONResponse({"errorCode": str(int(status)), "message": message}, status)


def _wrong(body: Any) -> str | None:
    """Why smsmode would not take it; None: it would."""
    if not isinstance(body, dict) or not isinstance(body.get("body"), dict):
        return "a message has a recipient and a body"
    if unknown := body.keys() - _FIELDS:
        return f"unknown field {min(unknown)}"
    if not _digits(body):
        return "INVALID_PHONE_NUMBER"
    if not body["body"].get("text"):
        return "the text is empty"
    if "from" in body and not _SENDER.fullmatch(str(body["from"])):
        return "INVALID_SENDER"
    if len(str(body.get("refClient", ""))) > _LONGEST_REFERENCE:
        return "refClient is too long"
    return None


def _digits(body: Any) -> str:
    recipient = body.get("recipient") if isinstance(body, dict) else None
    match = _RECIPIENT.fullmatch(str(recipient.get("to", ""))) if isinstance(recipient, dict) else None
    return match[1] if match else ""


def _taken(body: dict[str, Any]) -> TakenSms:
    text = body["body"]["text"]
    encoding, parts = _counted(text)
    return TakenSms(
        id=str(uuid4()),
        reference=str(body.get("refClient", "")),
        recipient=_digits(body),
        sender=str(body.get("from", "")),
        text=text,
        has_stop=bool(body["body"].get("stop")),
        encoding=encoding,
        parts=parts,
        taken_at=datetime.now(UTC),
    )


def _counted(text: str) -> tuple[str, int]:
    """Roughly, as a bill would show it."""
    try:
        units, alone, joined, encoding = len(_codec.encode(text)[0]), 160, 153, "GSM7"
    except UnicodeEncodeError:
        units, alone, joined, encoding = len(text.encode("utf-16-be")) // 2, 70, 67, "UNICODE"
    return encoding, 1 if units <= alone else math.ceil(units / joined)


class _LostAnswer(Response):
    """The connection breaks in the middle of the answer: the caller cannot know what happened."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
        await send({"type": "http.response.start", "status": HTTPStatus.CREATED, "headers": head})
