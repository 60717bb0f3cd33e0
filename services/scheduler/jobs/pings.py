"""A ping for each run: begun, done, failed. Somebody else's watch must never hold up ours."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from prometheus_client import Counter

from libs.common.jobs import brief
from libs.integrations.healthchecks import Healthchecks, Signal

log = logging.getLogger("relance.scheduler")

ROUTINE_PINGS = Counter("relance_routine_pings_total", "Pings of routines' runs", ["routine", "outcome"])

MOST_WAITING = 100
LAST_WORD_SECONDS = 2.0


class Pings:
    """Sent one after another behind the work's back; what does not fit the queue is left out and counted."""

    def __init__(self, urls: Mapping[str, str], client: Healthchecks | None = None) -> None:
        self._urls = urls
        self._client = client or Healthchecks()
        self._waiting: asyncio.Queue[tuple[str, Signal]] = asyncio.Queue(MOST_WAITING)
        self._sender: asyncio.Task[None] | None = None

    def begin(self, routine: str) -> None:
        self._put(routine, Signal.START)

    def end(self, routine: str) -> None:
        self._put(routine, Signal.SUCCESS)

    def fail(self, routine: str) -> None:
        self._put(routine, Signal.FAIL)

    def _put(self, routine: str, signal: Signal) -> None:
        if routine not in self._urls:
            return
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        try:
            self._waiting.put_nowait((routine, signal))
        except asyncio.QueueFull:
            ROUTINE_PINGS.labels(routine, "left out").inc()

    async def _send(self) -> None:
        while True:
            routine, signal = await self._waiting.get()
            try:
                await self._client.ping(self._urls[routine], signal)
                ROUTINE_PINGS.labels(routine, "sent").inc()
            except Exception as error:
                ROUTINE_PINGS.labels(routine, "failed").inc()
                log.warning("the ping of %s (%s) was not taken: %s", routine, signal.name, brief(error))
            finally:
                self._waiting.task_done()

    async def close(self) -> None:
        """What still waits gets a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD_SECONDS):
                await self._waiting.join()
        if self._sender is not None:
            self._sender.cancel()
        await self._client.close()
