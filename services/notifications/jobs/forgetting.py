"""Housekeeping: small batches, each a transaction, so that a kill loses one batch and nobody waits."""

from __future__ import annotations

from datetime import timedelta

from libs.common.database import Database
from services.notifications import queries

BATCH = 200


async def forget_old(database: Database, keep: timedelta) -> int:
    """Takes away the contents that are past their time, and what the team was told then; answers how many
    rows it did, 0 when nothing is left to do. Any number may run at once."""
    async with database.begin() as uow:
        before = uow.now - keep
        done = await queries.forget_contents(uow.session, before=before, now=uow.now, limit=BATCH)
        done += await queries.delete_old_provider_events(uow.session, before=before, limit=BATCH)
        return done + await queries.delete_old_digests(uow.session, before=before, limit=BATCH)
