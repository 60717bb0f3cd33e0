"""What `relance dunning` does: explain a company, try a policy over the recorded past."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, time
from pathlib import Path

from libs.common.database import Database
from libs.common.settings import load
from services.billing import accounts
from services.billing.settings import BillingSettings, load_policy


@asynccontextmanager
async def _billing() -> AsyncIterator[tuple[Database, BillingSettings]]:
    settings = load(BillingSettings)
    url = settings.service_database_url("billing")
    database = Database(url, service="billing", teller="billing", pool_size=1)
    try:
        yield database, settings
    finally:
        await database.close()


async def explain(company: str) -> list[str]:
    """Nothing, where nobody knows the company."""
    async with _billing() as (database, settings):
        return await accounts.explain(database, company, settings.policy)


async def simulate(policy_file: Path, since: date) -> AsyncIterator[str]:
    """Raises MisconfiguredError, with file and line, for a policy that is wrong."""
    policy = load_policy(policy_file)
    async with _billing() as (database, _):
        first = datetime.combine(since, time(), policy.zone)
        async for line in accounts.simulate_since(database, policy, first):
            yield line
