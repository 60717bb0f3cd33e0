"""The doors of notifications, a file each."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from libs.common.database import Database
from libs.integrations.tinyurl import TinyUrl
from services.notifications.routes import content, deliveries, settling, short_links, webhooks
from services.notifications.settings import NotificationsSettings


def create_routers(
    database: Database, settings: NotificationsSettings, tinyurl: TinyUrl | None
) -> Sequence[APIRouter]:
    return [
        content.create_router(database, settings),
        deliveries.create_router(database, settings),
        settling.create_router(database, settings),
        short_links.create_router(database, settings, tinyurl),
        webhooks.create_router(database, settings),
    ]
