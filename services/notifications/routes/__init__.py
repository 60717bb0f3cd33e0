"""The doors of notifications, a file each."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from libs.common.database import Database
from services.notifications.routes import content, preferences, settling, suppressions, webhooks
from services.notifications.settings import NotificationsSettings


def create_routers(database: Database, settings: NotificationsSettings) -> Sequence[APIRouter]:
    rooms = (content, preferences, settling, suppressions, webhooks)
    return [room.create_router(database, settings) for room in rooms]
