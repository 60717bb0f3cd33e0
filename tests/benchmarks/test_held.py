"""100,000 deliveries that were held and are all due leave in order, within the provider's rate, no herd."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.devstack.mail_catcher.process import RunningCatcher, running_catcher
from tests.benchmarks.conftest import Note
from tests.builders.held import Sink, hold
from tests.integration.notifications.office import SENDER, Office
from tests.world import World, until

HELD = 100_000
RATE = 100
# As many as are waited for; the others stay where they are.
LEAVING = 2_000
CONNECTIONS = 8

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]


@pytest.fixture
async def office(world: World, tmp_path: Path) -> AsyncIterator[Office]:
    running: RunningCatcher
    async with running_catcher(tmp_path / "mails") as running:
        yield Office(world, running)


async def test_a_hundred_thousand_that_were_held_leave_in_order_and_in_pace(
    office: Office, note: Note
) -> None:
    opening = datetime.now(UTC) - timedelta(minutes=1)
    await hold(office.world, HELD, due_at=opening, step_seconds=0, together=1)
    sink = Sink()
    async with (
        sink.listening() as dsn,
        office.open(SENDER, mailer_dsn=dsn, mail_rate_per_second=RATE, smtp_connections=CONNECTIONS),
    ):
        await until(lambda: _left(sink), seconds=300, what=f"{LEAVING} mails")
    moments = [at for at, _ in sink.arrivals]
    rate = (len(moments) - 1) / (moments[-1] - moments[0])
    farthest = max(abs(place - number) for place, number in enumerate(sink.order, 1))
    busiest = sink.most_within(1.0)
    note(
        f"{HELD:,} held, all due at once, {RATE} a second allowed: at the server; most in one second",
        f"≤ {RATE}",
        f"{rate:.0f}/s; {busiest}",
    )
    note("the same: places out of order of due time, at most", f"≤ {2 * CONNECTIONS}", f"{farthest}")
    assert len(set(sink.order)) == len(sink.order)
    assert busiest <= RATE * 1.1 + CONNECTIONS
    assert sink.busiest <= CONNECTIONS
    assert farthest <= 2 * CONNECTIONS


async def _left(sink: Sink) -> bool:
    return len(sink.arrivals) >= LEAVING
