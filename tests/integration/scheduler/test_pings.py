"""Pings of runs, as healthchecks.io takes them; its outage holds up nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from libs.common.events.scheduler import StripeReconciliationDue
from libs.integrations.healthchecks import Healthchecks, Signal, url_of
from services.scheduler.app import create_app
from services.scheduler.jobs import Pings
from services.scheduler.jobs.pings import MOST_WAITING
from tests.integration.scheduler.builders import HandClock, scheduler_settings
from tests.world import World, until


@dataclass
class FakeHealthchecks:
    """The far end: notes what is asked for, and may answer never, or with a refusal."""

    status: int = 200
    is_silent: bool = False
    paths: list[str] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeHealthchecks]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                self.paths.append(line.decode().split()[1])
                if self.is_silent:
                    await asyncio.Event().wait()
                writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 2\r\n\r\nOK".encode())
                await writer.drain()
        finally:
            writer.close()


def test_a_ping_keeps_what_its_url_says_behind_the_path() -> None:
    assert url_of("https://hc-ping.com/u", Signal.START) == "https://hc-ping.com/u/start"
    assert (
        url_of("https://hc-ping.com/key/slug/?create=1", Signal.FAIL)
        == "https://hc-ping.com/key/slug/fail?create=1"
    )
    assert url_of("https://hc-ping.com/u", Signal.SUCCESS) == "https://hc-ping.com/u"


async def test_a_run_is_pinged_when_it_begins_and_when_it_ends(world: World) -> None:
    async with FakeHealthchecks().serving() as far:
        settings = scheduler_settings(world, routine_ping_urls={"reconcile_stripe": f"{far.url}/walk"})
        async with world.running(create_app(settings, clock=HandClock())):

            async def both() -> bool:
                return len(far.paths) >= 2

            await until(both, what="both pings")
    assert far.paths == ["/walk/start", "/walk"]


async def test_one_that_never_answers_delays_no_run(world: World) -> None:
    async with FakeHealthchecks(is_silent=True).serving() as far:
        settings = scheduler_settings(world, routine_ping_urls={"reconcile_stripe": f"{far.url}/walk"})
        async with world.running(create_app(settings, clock=HandClock())) as http:
            await until(lambda: world.told(StripeReconciliationDue), what="the run")
            assert far.paths in ([], ["/walk/start"])
            metrics = (await http.get("/metrics")).text
    assert 'relance_routine_runs_total{outcome="done",routine="reconcile_stripe"}' in metrics


async def test_a_refusal_is_noted_and_no_more() -> None:
    async with FakeHealthchecks(status=404).serving() as far:
        pings = Pings({"a": f"{far.url}/a"})
        pings.begin("a")
        pings.fail("a")
        pings.end("nobody asked for this one")
        await pings.close()
    assert far.paths == ["/a/start", "/a/fail"]


async def test_what_waits_for_a_silent_one_does_not_grow_without_end() -> None:
    async with FakeHealthchecks(is_silent=True).serving() as far:
        pings = Pings({"a": far.url}, Healthchecks(answer_seconds=30))
        for _ in range(10 * MOST_WAITING):
            pings.begin("a")
        assert pings._waiting.qsize() <= MOST_WAITING
        await pings.close()
