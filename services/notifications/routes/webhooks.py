"""The doors at which providers tell what became of a message: `/webhooks/brevo`, `/webhooks/smsmode`.

They sign nothing, so an unguessable token lets them in: in the path, as bearer token, or as the password of
basic auth. A word is stored once, and only then answered; a job works it.
"""

from __future__ import annotations

import binascii
import hmac
import json
import logging
from base64 import b64decode
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import Counter
from pydantic import SecretStr
from starlette.requests import ClientDisconnect

from libs.common.database import Database, is_outage
from libs.common.errors import PermanentFailure
from libs.common.jobs import brief, printable
from services.notifications import queries
from services.notifications.provider_words import BREVO, SMSMODE, read_word
from services.notifications.settings import NotificationsSettings

log = logging.getLogger("relance.notifications")

CALLBACKS = Counter(
    "relance_provider_callbacks_total",
    "Callbacks of providers by what became of them",
    ["provider", "outcome"],
)
MOST_AT_ONCE = 1000


class RefusedError(Exception):
    """A callback that is not taken; `status` says why to the provider."""

    def __init__(self, status: HTTPStatus, outcome: str) -> None:
        super().__init__(outcome)
        self.status = status


def create_router(database: Database, settings: NotificationsSettings) -> APIRouter:
    router = APIRouter(prefix="/webhooks", include_in_schema=False)
    tokens = {BREVO: settings.brevo_webhook_token, SMSMODE: settings.smsmode_webhook_token}
    doors = {
        provider: _Door(provider, token, database, settings.webhook_max_bytes)
        for provider, token in tokens.items()
    }

    async def hear(provider: str, request: Request, token: str) -> Response:
        door = doors.get(provider)
        return await door.hear(request, token) if door else Response(status_code=HTTPStatus.NOT_FOUND)

    @router.post("/{provider}/{token}")
    async def hear_with_token(provider: str, token: str, request: Request) -> Response:
        return await hear(provider, request, token)

    @router.post("/{provider}")
    async def hear_with_header(provider: str, request: Request) -> Response:
        return await hear(provider, request, _token_of(request.headers.get("authorization", "")))

    return router


def _token_of(authorization: str) -> str:
    """The bearer token, or the password of basic auth; empty where there is neither."""
    scheme, _, given = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return given.strip()
        case "basic":
            try:
                return b64decode(given, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return ""
        case _:
            return ""


class _Door:
    """One provider's. Closed while it has no token."""

    def __init__(self, provider: str, token: SecretStr | None, database: Database, max_bytes: int) -> None:
        self._provider = provider
        self._token = token.get_secret_value().encode() if token else b""
        self._database = database
        self._max_bytes = max_bytes

    async def hear(self, request: Request, token: str) -> Response:
        try:
            self._check(token)
            new = await self._store(_objects(await self._read(request)))
        except RefusedError as refusal:
            CALLBACKS.labels(self._provider, str(refusal)).inc()
            log.warning("a callback for %s is refused: %s", self._provider, refusal)
            return Response(status_code=refusal.status)
        except Exception as error:
            # Whatever it is: the provider comes again.
            CALLBACKS.labels(self._provider, "not_stored").inc()
            log.warning(
                "a callback of %s cannot be stored: %s",
                self._provider,
                brief(error),
                exc_info=None if is_outage(error) else error,
            )
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)
        CALLBACKS.labels(self._provider, "stored" if new else "repeated").inc()
        return Response(status_code=HTTPStatus.OK)

    def _check(self, token: str) -> None:
        is_right = hmac.compare_digest(token.encode(), self._token)
        if not self._token or not is_right:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "not_believed")

    async def _read(self, request: Request) -> bytes:
        """At most one chunk more than allowed is ever held."""
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > self._max_bytes:
                    raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large")
        except ClientDisconnect as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "cut_off") from error
        return bytes(body)

    async def _store(self, objects: list[dict[str, Any]]) -> int:
        try:
            bodies = {read_word(self._provider, each).dedup_key: each for each in objects}
        except PermanentFailure as failure:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "makes_no_sense") from failure
        async with self._database.begin() as uow:
            return await queries.add_provider_events(uow.session, self._provider, bodies, now=uow.now)


def _objects(body: bytes) -> list[dict[str, Any]]:
    """One object, or several in a list: Brevo may be told to post them so."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "not_json") from error
    objects = said if isinstance(said, list) else [said]
    if not objects or len(objects) > MOST_AT_ONCE or not all(isinstance(each, dict) for each in objects):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "makes_no_sense")
    return [_storable(each) for each in objects]


def _storable(value: Any) -> Any:
    """PostgreSQL keeps no NUL and no half of a surrogate pair in JSON."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(name)): _storable(each) for name, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list) else value
