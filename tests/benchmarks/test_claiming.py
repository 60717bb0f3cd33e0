"""Claiming beside a million deliveries is as fast as beside ten thousand. Run by `make bench-scale`.

Only the claim: deciding, building, marking and its commit, in this process; nothing is sent.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

import pytest

from libs.common.database import Database
from libs.common.settings import CommonSettings
from libs.integrations.smtp import Smtp
from services.notifications.domain import Letter
from services.notifications.jobs.carriers import MailCarrier
from services.notifications.jobs.claiming import claim_due_deliveries
from services.notifications.settings import NotificationsSettings
from tests.benchmarks.conftest import Note
from tests.benchmarks.deliveries import add_pending, add_settled
from tests.servers import Servers
from tests.world import World

FEW, MANY = 10_000, 1_000_000
PENDING = 4_500
PAIRS = 7
CLAIMS = 60
AT_ONCE = 8

pytestmark = [pytest.mark.benchmark, pytest.mark.scale, pytest.mark.timeout(900)]


class Side:
    """A database with so many settled deliveries, and what claims in it."""

    def __init__(self, world: World) -> None:
        self._world = world
        url = world.settings(CommonSettings).service_database_url("notifications")
        self._database = Database(url, service="notifications", teller="notifications", pool_size=2)
        self._settings = world.settings(
            NotificationsSettings,
            mailer_dsn="smtp://127.0.0.1:9",
            mail_sender="Relance <relance@relance.test>",
            login_url="https://app.relance.test/login",
            lease_seconds=120,
        )
        self._carrier = MailCarrier(Smtp("smtp://127.0.0.1:9", size=8, timeout_seconds=1), self._settings)

    async def fill(self, settled: int) -> None:
        await add_settled(self._world, settled)
        await add_pending(self._world, PENDING, tag="p")

    async def rate(self) -> float:
        """Deliveries claimed a second."""
        letters: list[Letter] = []
        began = time.perf_counter()
        for _ in range(CLAIMS):
            async with self._database.begin() as uow:
                await claim_due_deliveries(
                    uow, self._carrier, self._settings, letters, limit=AT_ONCE, at_once=AT_ONCE
                )
        assert len(letters) == CLAIMS * AT_ONCE
        return len(letters) / (time.perf_counter() - began)

    async def close(self) -> None:
        await self._database.engine.dispose()


@asynccontextmanager
async def two_sides(servers: Servers, few: World) -> AsyncIterator[tuple[Side, Side]]:
    async with AsyncExitStack() as stack:
        many = await stack.enter_async_context(World.fresh(servers))
        sides = Side(few), Side(many)
        for side, settled in zip(sides, (FEW, MANY), strict=True):
            stack.push_async_callback(side.close)
            began = time.perf_counter()
            await side.fill(settled)
            print(f"{settled} deliveries in {time.perf_counter() - began:.0f} s")
        yield sides


async def test_claiming_does_not_slow_down(world: World, servers: Servers, note: Note) -> None:
    few: list[float] = []
    many: list[float] = []
    async with two_sides(servers, world) as (small, large):
        await small.rate()
        await large.rate()
        for _ in range(PAIRS):
            few.append(await small.rate())
            many.append(await large.rate())
            print(f"{few[-1]:.0f}/s; {many[-1]:.0f}/s")
    ratio = median(b / a for a, b in zip(few, many, strict=True))
    note(
        f"deliveries claimed beside {MANY:,} of them, ratio to beside {FEW:,}",
        "≥ 0.8",
        f"{ratio:.2f} ({median(many):.0f}/s; {median(few):.0f}/s)",
    )
    assert ratio >= 0.8
