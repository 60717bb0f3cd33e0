"""Read-only, for the admin pages: a mail, byte for byte as it was sent."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Response

from libs.common.database import Database
from libs.common.internal_key import InternalKey
from services.notifications import queries
from services.notifications.settings import NotificationsSettings


def create_router(database: Database, settings: NotificationsSettings) -> APIRouter:
    router = APIRouter(
        prefix="/internal/deliveries", dependencies=[Depends(InternalKey(settings.interne_apikey))]
    )

    @router.get("/{delivery_id}/content")
    async def show_content(delivery_id: UUID) -> Response:
        """The mail as `message/rfc822`. 401 without the internal key, 404 for one that was never built, 410
        for one whose time (CONTENT_DAYS) is over."""
        async with database.begin() as uow:
            content = await queries.find_content(uow.session, delivery_id)
            record = await queries.find_delivery(uow.session, delivery_id)
        if record is not None and record.forgotten_at is not None:
            raise HTTPException(410, f"contents are kept for {settings.content_days} days; the record stays")
        if content is None:
            raise HTTPException(404, "this delivery has no content")
        return Response(content, media_type="message/rfc822")

    return router
