"""The doors of notifications, a file each."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from libs.common.database import Database
from services.notifications.routes import content, deliveries
from services.notifications.settings import NotificationsSettings


def create_routers(database: Database, settings: NotificationsSettings) -> Sequence[APIRouter]:
    return [content.create_router(database, settings), deliveries.create_router(database, settings)]
