"""Jobs: what a process does again and again, woken by NOTIFY, resting when there is nothing to do."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg

from libs.common.database import Database, is_outage
from libs.common.telemetry import JOB_FAILURES

log = logging.getLogger("relance.jobs")

RECONNECT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """`run` does one turn and answers how much it did: 0 means rest.

    `wake_on` is the table whose inserts (NOTIFY `<schema>.<table>`) end a rest early; `every_seconds` is the
    longest rest. `workers` turns run at once: `run` must claim what it works on.
    """

    name: str
    run: Callable[[], Awaitable[int]]
    every_seconds: float
    wake_on: str | None = None
    workers: int = 1


def backoff_seconds(failures: int, *, first: float, longest: float) -> float:
    """Doubling wait with full jitter on its upper half, so that those who failed together come back apart."""
    wait: float = min(longest, first * 2 ** min(failures, 30))
    return wait * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret


class Alarm:
    """Wakes resting jobs: by name of what happened, or all of them to stop."""

    def __init__(self) -> None:
        self.is_stopping = False
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def bell(self, name: str) -> asyncio.Event:
        bell = asyncio.Event()
        self._waiting.setdefault(name, set()).add(bell)
        return bell

    def ring(self, name: str) -> None:
        for bell in self._waiting.get(name, ()):
            bell.set()

    def stop(self) -> None:
        self.is_stopping = True
        for name in self._waiting:
            self.ring(name)


async def rest(bell: asyncio.Event, seconds: float) -> None:
    """Until the bell rings, at most so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return


async def keep_running(job: Job, alarm: Alarm, *, service: str, first: float, longest: float) -> None:
    """Turn after turn until the alarm says stop; a turn in progress is always finished."""
    bell = alarm.bell(job.wake_on or job.name)
    failures = 0
    while not alarm.is_stopping:
        bell.clear()
        try:
            done = await job.run()
        except Exception as error:
            failures += 1
            await _note_failure(service, job, error, failures)
            await rest(bell, backoff_seconds(failures, first=first, longest=longest))
        else:
            failures = 0
            if not done:
                await rest(bell, job.every_seconds)


async def _note_failure(service: str, job: Job, error: Exception, failures: int) -> None:
    JOB_FAILURES.labels(service, job.name).inc()
    if is_outage(error):
        log.warning("job %s waits for what is down (%s times): %s", job.name, failures, brief(error))
    else:
        log.error("job %s failed (%s times)", job.name, failures, exc_info=error)


def brief(error: BaseException) -> str:
    """One line of an error, for a log line or a cause that people read."""
    first_line = (str(error).strip().splitlines() or [""])[0]
    return printable(f"{type(error).__name__}: {first_line}"[:500])


def printable(text: str) -> str:
    """Text that PostgreSQL and a log file take: no NUL, no half of a surrogate pair."""
    return text.encode(errors="backslashreplace").decode().replace("\x00", "\\x00")


async def listen(database: Database, alarm: Alarm) -> None:
    """Turn NOTIFYs of this schema into bells, on a connection of its own, reconnecting for ever.

    A NOTIFY that was missed while reconnecting costs one rest: jobs also look by themselves.
    """
    stopped = alarm.bell("listen")
    while not alarm.is_stopping:
        try:
            connection = await database.connect()
        except Exception as error:
            log.warning("cannot listen for wake-ups: %s", brief(error))
            await rest(stopped, RECONNECT_SECONDS)
            continue
        await _listen_until_lost(connection, database.service, alarm, stopped)


async def _listen_until_lost(
    connection: asyncpg.Connection[asyncpg.Record], schema: str, alarm: Alarm, stopped: asyncio.Event
) -> None:
    def hear(*args: object) -> None:
        alarm.ring(str(args[3]))

    connection.add_termination_listener(lambda _: stopped.set())
    try:
        await connection.add_listener(f"relance_{schema}", hear)
        await stopped.wait()
    except Exception as error:
        log.warning("lost the connection that listens for wake-ups: %s", brief(error))
    finally:
        stopped.clear()
        if not connection.is_closed():
            connection.terminate()
