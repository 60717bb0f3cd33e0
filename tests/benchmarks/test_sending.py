"""Mails a second of one notifications process, from pending rows to accepted and noted, rendering included.

Against an aiosmtplib pool of as many connections that hands ready-made bytes of the same size to the same
server, in interleaved pairs; then with a server that takes its time, where the pool decides.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import psutil
import pytest

from libs.devstack.ports import free_port
from tests.benchmarks.conftest import Note
from tests.benchmarks.deliveries import add_pending
from tests.benchmarks.processes import process, running, until_answers
from tests.servers import Servers
from tests.world import World, until

CONNECTIONS = 8
PAIRS = 4
MAILS = 1_500
BARE_MAILS = 2_500
SLOW_SECONDS = 0.02
SLOW_MAILS = 4_000
WARMING = 1_000
# What leases, tests and pools have in production.
SETTINGS = {
    "mail_sender": "Relance <relance@relance.test>",
    "login_url": "https://app.relance.test/login",
    "smtp_connections": str(CONNECTIONS),
    "smtp_timeout_seconds": "20",
    "lease_seconds": "120",
    "poll_seconds": "5",
    "database_pool_size": "10",
}

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


class House:
    """A notifications process that sends to one server, and the bare pool beside it."""

    def __init__(self, world: World, port: int, pid: int, folder: Path) -> None:
        self.world = world
        self._port = port
        self._process = psutil.Process(pid)
        self._folder = folder
        self._loads = 0

    async def rate(self, count: int) -> float:
        """Mails a second, from the rows being there to the last one noted as accepted."""
        self._loads += 1
        await add_pending(self.world, count, tag=f"x{self._loads}x")
        began = time.perf_counter()
        await until(self._is_sent, seconds=120, what=f"{count} mails sent")
        return count / (time.perf_counter() - began)

    async def _is_sent(self) -> bool:
        # Each by its own partial index: looking costs nothing.
        waiting = "select from deliveries where status = '{}' limit 1"
        for status in ("pending", "sending"):
            if await self.world.rows("notifications", waiting.format(status)):
                return False
        return True

    async def bare_rate(self, count: int) -> float:
        content = await self._content()
        file = self._folder / "mail.eml"
        file.write_bytes(content)
        command = [sys.executable, "-m", "tests.benchmarks.smtp_floor", "pool", str(self._port),
                   str(CONNECTIONS), str(count), str(file)]  # fmt: skip
        pool = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await pool.communicate()
        assert pool.returncode == 0
        return float(output)

    async def _content(self) -> bytes:
        [row] = await self.world.rows(
            "notifications", "select content from deliveries where content is not null limit 1"
        )
        content: bytes = row["content"]
        return content

    async def mail_bytes(self) -> int:
        return len(await self._content())

    async def assert_all_accepted(self) -> None:
        rows = await self.world.rows("notifications", "select distinct status from deliveries")
        assert [row["status"] for row in rows] == ["accepted"]

    def memory_mib(self) -> float:
        return float(self._process.memory_info().rss) / 2**20


@asynccontextmanager
async def house(
    world: World, servers: Servers, folder: Path, *, answer_seconds: float
) -> AsyncIterator[House]:
    port = free_port(27_500)
    sink = ["tests.benchmarks.smtp_floor", "sink", str(port), str(answer_seconds)]
    settings = SETTINGS | {"mailer_dsn": f"smtp://127.0.0.1:{port}"}
    with process(sink), running("notifications", world, servers, **settings) as one:
        await until_answers(one.port, "/readyz", 200)
        opened = House(world, port, one.pid, folder)
        await opened.rate(WARMING)
        yield opened


async def test_mails_a_second_against_the_bare_pool(
    world: World, servers: Servers, note: Note, tmp_path: Path
) -> None:
    bare: list[float] = []
    rates: list[float] = []
    memory: list[float] = []
    async with house(world, servers, tmp_path, answer_seconds=0) as sending:
        for _ in range(PAIRS):
            bare.append(await sending.bare_rate(BARE_MAILS))
            rates.append(await sending.rate(MAILS))
            memory.append(sending.memory_mib())
            print(f"{rates[-1]:.0f}/s; bare {bare[-1]:.0f}/s; {memory[-1]:.0f} MiB")
        await sending.assert_all_accepted()
        size = await sending.mail_bytes()
    ratio = median(rate / floor for rate, floor in zip(rates, bare, strict=True))
    growth = memory[-1] / memory[0]
    note(
        f"pending mails of {size / 1000:.0f} KB to accepted and noted, ratio to a bare pool of {CONNECTIONS}",
        "≥ 0.25 (aim 0.5)",
        f"{ratio:.2f} ({median(rates):.0f}/s; bare {median(bare):.0f}/s)",
    )
    note(
        f"the same: memory after {PAIRS * MAILS:,} mails, ratio to after a quarter of them",
        "0.8 to 1.2",
        f"{growth:.2f} ({memory[-1]:.0f} MiB)",
    )
    assert ratio >= 0.25
    assert 0.8 <= growth <= 1.2


async def test_where_the_server_is_slow_the_pool_decides(
    world: World, servers: Servers, note: Note, tmp_path: Path
) -> None:
    most = CONNECTIONS / SLOW_SECONDS
    async with house(world, servers, tmp_path, answer_seconds=SLOW_SECONDS) as sending:
        bare = await sending.bare_rate(SLOW_MAILS // 4)
        rate = await sending.rate(SLOW_MAILS)
        await sending.assert_all_accepted()
    note(
        f"a mail server that takes {SLOW_SECONDS * 1000:.0f} ms: ratio to {CONNECTIONS} / latency",
        "≥ 0.9",
        f"{rate / most:.2f} ({rate:.0f}/s of {most:.0f}/s; bare {bare:.0f}/s)",
    )
    assert rate / most >= 0.9
