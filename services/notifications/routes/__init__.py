"""The doors of notifications, a file each."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from libs.common.database import Database
from libs.integrations.tinyurl import TinyUrl
from services.notifications.routes import (
    content,
    deliveries,
    preferences,
    settling,
    short_links,
    suppressions,
    webhooks,
)
from services.notifications.settings import NotificationsSettings


def create_routers(
    database: Database, settings: NotificationsSettings, tinyurl: TinyUrl | None
) -> Sequence[APIRouter]:
    rooms = (content, deliveries, preferences, settling, suppressions, webhooks)
    routers = [room.create_router(database, settings) for room in rooms]
    return [*routers, short_links.create_router(database, settings, tinyurl)]
