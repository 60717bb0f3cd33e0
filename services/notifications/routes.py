"""Read-only, for the admin pages: a mail, byte for byte as it was sent."""

from __future__ import annotations

import hmac
from uuid import UUID

from fastapi import APIRouter, Header, HTTPException, Response

from libs.common.database import Database
from services.notifications import queries
from services.notifications.settings import NotificationsSettings


def create_router(database: Database, settings: NotificationsSettings) -> APIRouter:
    router = APIRouter(prefix="/internal")

    @router.get("/deliveries/{delivery_id}/content")
    async def show_content(delivery_id: UUID, x_api_key: str = Header(default="")) -> Response:
        """The mail as `message/rfc822`. 401 without the internal key, 404 for one that was never built."""
        _check_key(settings, x_api_key)
        async with database.begin() as uow:
            content = await queries.find_content(uow.session, delivery_id)
        if content is None:
            raise HTTPException(404, "this delivery has no content")
        return Response(content, media_type="message/rfc822")

    return router


def _check_key(settings: NotificationsSettings, given: str) -> None:
    key = settings.interne_apikey
    if key is None or not hmac.compare_digest(key.get_secret_value().encode(), given.encode()):
        raise HTTPException(401, "the internal API key is missing or wrong")
