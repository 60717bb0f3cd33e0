"""What `relance reconcile` does: show the reconciliation's figures, ask for a walk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.database import Database, Uow
from services.billing import figures, queries
from services.run import settings_of


@asynccontextmanager
async def _billing() -> AsyncIterator[Uow]:
    url = settings_of("billing").service_database_url("billing")
    database = Database(url, service="billing", teller="billing", pool_size=1)
    try:
        async with database.begin() as uow:
            yield uow
    finally:
        await database.close()


async def show_status() -> list[str]:
    """One line a figure, as `GET /internal/reconciliation` of billing names them."""
    async with _billing() as uow:
        found = await figures.get_figures(uow)
    return [f"{name:26}{value}" for name, value in found.model_dump(mode="json").items()]


async def ask_for_walk() -> None:
    async with _billing() as uow:
        await queries.reconciliation.mark_wanted(uow.session, uow.now, causation_id=None, traceparent=None)
