"""Where the links of mails lead: to unsubscribe (RFC 8058), and to choose what one is sent.

No login and no cookie: the link says who it is for, only to us. Opening one (GET) changes nothing, because
mail servers open links too. Whoever guesses learns nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.types import Message

from libs.common.clock import Clock
from libs.common.database import Database, Uow, is_outage
from libs.common.jobs import brief
from libs.common.signed_links import SignedLink
from libs.common.visits import Visits, is_person
from services.notifications import preferences
from services.notifications.domain import Channel
from services.notifications.domain.preference_links import PREFERENCES_PATH, UNSUBSCRIBE_PATH, Purpose
from services.notifications.preferences import Reader
from services.notifications.routes import preference_pages as pages
from services.notifications.settings import NotificationsSettings

log = logging.getLogger("relance.preferences")

LARGEST_BODY = 4096
MOST_FIELDS = 10
BODY_SECONDS = 10.0

Work = Callable[[Uow, Reader, SignedLink], Awaitable[Response]]


class _Unreadable(Exception):
    """A body that is no form of ours; with the status that says so."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def create_router(database: Database, settings: NotificationsSettings) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    door = _Door(database, settings, database.clock)

    @router.api_route(UNSUBSCRIBE_PATH + "{token:path}", methods=["GET", "HEAD"])
    async def ask_whether_to_unsubscribe(token: str, request: Request) -> Response:
        return await door.open(token, Purpose.UNSUBSCRIBE, request, door.ask)

    @router.post(UNSUBSCRIBE_PATH + "{token:path}")
    async def unsubscribe(token: str, request: Request) -> Response:
        """RFC 8058: by a mail server on its reader's behalf, or by the button of the page."""
        return await door.post(
            token, Purpose.UNSUBSCRIBE, request, ("List-Unsubscribe", "One-Click"), door.unsubscribe
        )

    @router.api_route(PREFERENCES_PATH + "{token:path}", methods=["GET", "HEAD"])
    async def show_preferences(token: str, request: Request) -> Response:
        return await door.open(token, Purpose.PREFERENCES, request, door.show)

    @router.post(PREFERENCES_PATH + "{token:path}")
    async def change_preferences(token: str, request: Request) -> Response:
        return await door.post(token, Purpose.PREFERENCES, request, ("form", "preferences"), door.change)

    return router


class _Door:
    def __init__(self, database: Database, settings: NotificationsSettings, clock: Clock) -> None:
        self._database = database
        self._links = settings.preference_links
        self._visits = Visits(
            settings.preference_opens_per_minute, settings.preference_opens_per_minute_and_link
        )
        self._clock = clock

    async def open(self, token: str, purpose: Purpose, request: Request, work: Work) -> Response:
        if isinstance(link := await self._enter(token, purpose), Response):
            return link
        if not is_person(request):
            return pages.nothing()
        return await self._work(link, work)

    async def post(
        self,
        token: str,
        purpose: Purpose,
        request: Request,
        sign: tuple[str, str],
        work: Callable[[Uow, Reader, SignedLink, Mapping[str, str]], Awaitable[Response]],
    ) -> Response:
        """`sign`: the field by which a form of ours is known."""
        if isinstance(link := await self._enter(token, purpose), Response):
            return link
        try:
            fields = await _fields(request)
        except _Unreadable as error:
            return pages.not_understood(error.status)
        if fields.get(sign[0]) != sign[1]:
            return pages.not_understood(HTTPStatus.BAD_REQUEST)
        return await self._work(link, lambda uow, reader, link: work(uow, reader, link, fields))

    async def _enter(self, token: str, purpose: Purpose) -> SignedLink | Response:
        """The link, if it is good; only good ones are counted, and nobody's body is read for others."""
        link = self._links.read(token, purpose)
        if link is None:
            return pages.not_found()
        if link.until <= self._clock():
            return pages.expired()
        return link if await self._visits.allows(link) else pages.too_often()

    async def _work(self, link: SignedLink, work: Work) -> Response:
        try:
            async with self._database.begin() as uow:
                reader = await preferences.find_reader(uow, self._links.delivery_id(link))
                return pages.not_found() if reader is None else await work(uow, reader, link)
        except Exception as error:
            if is_outage(error):
                log.warning("a preference cannot be seen or kept now: %s", brief(error))
            else:
                log.exception("a preference cannot be seen or kept")
            return pages.away()

    async def ask(self, uow: Uow, reader: Reader, link: SignedLink) -> Response:
        return pages.ask(reader.channel, reader.targets[reader.channel], self._preferences(link))

    async def unsubscribe(
        self, uow: Uow, reader: Reader, link: SignedLink, fields: Mapping[str, str]
    ) -> Response:
        await preferences.unsubscribe(uow, reader, reader.channel, how="one_click")
        return pages.done(reader.channel, reader.targets[reader.channel], self._preferences(link))

    async def show(self, uow: Uow, reader: Reader, link: SignedLink) -> Response:
        return pages.preferences(await preferences.list_preferences(uow, reader))

    async def change(self, uow: Uow, reader: Reader, link: SignedLink, fields: Mapping[str, str]) -> Response:
        wanted = {channel: pages.name_of(channel) in fields for channel in Channel}
        await preferences.change(uow, reader, wanted)
        return pages.preferences(await preferences.list_preferences(uow, reader), is_saved=True)

    def _preferences(self, link: SignedLink) -> str:
        """Beside `/u/…`, whatever stands before it on the outside."""
        return f"..{PREFERENCES_PATH}{self._links.for_preferences(link)}"


async def _fields(request: Request) -> dict[str, str]:
    """The text fields of a small form, urlencoded or multipart (mail servers send either)."""
    body = await _body(request)

    async def read_again() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        form = await Request(request.scope, read_again).form(max_files=0, max_fields=MOST_FIELDS)
    except (HTTPException, MultiPartException, ValueError) as error:
        raise _Unreadable(HTTPStatus.BAD_REQUEST) from error
    return {name: value for name, value in form.items() if isinstance(value, str)}


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise _Unreadable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    except TimeoutError as error:
        raise _Unreadable(HTTPStatus.REQUEST_TIMEOUT) from error
    return bytes(body)
