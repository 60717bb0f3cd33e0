"""Letters that were claimed ahead of the connections: each is marked as begun before it is handed to one.

A kill then makes `unknown` only what was begun; what still waited was surely not sent, and is claimed anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from libs.common.database import Database
from libs.common.jobs import brief
from services.notifications import queries
from services.notifications.domain import Letter

log = logging.getLogger("relance.notifications")


class Sender(Protocol):
    """Who sends what has had its turn."""

    @property
    def begun(self) -> int: ...

    def begin(self, letter: Letter) -> None: ...

    def give_back(self, letters: Sequence[Letter], why: str) -> None: ...

    async def wait_for_change(self) -> None: ...

    def note_turns(self) -> None: ...


class Turns:
    """`most_begun`: so many may be begun at once; `wait_seconds`: who waited for longer is given back."""

    def __init__(self, database: Database, most_begun: int, wait_seconds: float, sender: Sender) -> None:
        self._database = database
        self._most_begun = most_begun
        self._wait_seconds = wait_seconds
        self._sender = sender
        self._letters: deque[tuple[float, Letter]] = deque()
        self._being_marked = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Those that are being marked as begun are counted too."""
        return len(self._letters) + self._being_marked

    def add(self, letters: Sequence[Letter]) -> None:
        now = time.monotonic()
        self._letters.extend((now, letter) for letter in letters)
        if self._letters and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._take_turns())

    async def _take_turns(self) -> None:
        while self._letters:
            free = self._most_begun - self._sender.begun
            # Some together: marking one costs as much as marking a few.
            if free < max(1, min(len(self._letters), self._most_begun // 3)):
                await self._sender.wait_for_change()
                continue
            await self._begin([self._letters.popleft() for _ in range(min(free, len(self._letters)))])

    async def _begin(self, waited: Sequence[tuple[float, Letter]]) -> None:
        latest = time.monotonic() - self._wait_seconds
        letters = [letter for since, letter in waited if since >= latest]
        self._sender.give_back(
            [letter for since, letter in waited if since < latest], "its turn did not come"
        )
        self._being_marked = len(letters)
        try:
            async with self._database.begin() as uow:
                begun = await queries.mark_begun(uow.session, letters)
        except Exception as error:
            log.warning("%s letters could not be begun: %s", len(letters), brief(error))
            self._sender.give_back(letters, "its turn was not confirmed")
            return
        finally:
            self._being_marked = 0
            self._sender.note_turns()
        for letter in letters:
            if letter.delivery.id in begun:
                self._sender.begin(letter)
            else:
                log.info("delivery %s is somebody else's by now", letter.delivery.id)

    async def close(self) -> None:
        """Who still waits is given back: others may send it."""
        left = [letter for _, letter in self._letters]
        self._letters.clear()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._sender.give_back(left, "its sender stopped")
