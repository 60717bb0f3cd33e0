"""A service's own database, for the commands that look into one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.database import Database
from services.run import settings_of


@asynccontextmanager
async def database_of(service: str) -> AsyncIterator[Database]:
    """Through the service's own role. Raises MisconfiguredError when its settings are not there."""
    url = settings_of(service).service_database_url(service)
    database = Database(url, service=service, teller=service, pool_size=1)
    try:
        yield database
    finally:
        await database.close()
