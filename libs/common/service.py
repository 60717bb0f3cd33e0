"""The frame every service hangs in: doors, database, Kafka, jobs; started in the background, stopped cleanly.

The HTTP door opens at once and says honestly what is not there yet (`/readyz`); what is down is waited for.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.common import health, inbox
from libs.common.clock import Clock, utc_now
from libs.common.consumer import INBOX_BELL, Consumer
from libs.common.database import Database
from libs.common.housekeeping import Housekeeping, Keeping, frame_keepings
from libs.common.jobs import Alarm, Job, brief, keep_running, listen, rest
from libs.common.producer import Producer
from libs.common.relay import relay_facts
from libs.common.router import EventRouter
from libs.common.settings import CommonSettings
from libs.common.telemetry import DEAD_LETTERS, INBOX_OLDEST_SECONDS, INBOX_PENDING, OUTBOX_PENDING
from libs.common.watchdog import LOOKS, StalledError
from libs.common.worker import Worker

log = logging.getLogger("relance.service")

START_AGAIN_SECONDS = 0.5
FIGURES_SECONDS = 5.0
STALLED_EXIT_CODE = 70

Closer = Callable[[], Awaitable[None]]


class Door(StrEnum):
    """What may start something in a process: HTTP, a fact, the clock. One process may serve some or all."""

    HTTP = "http"
    KAFKA = "kafka"
    CLOCK = "clock"


ALL_DOORS = frozenset(Door)


class Service:
    """One service: its name, what it tells as (`teller`), its database and its producer."""

    def __init__(
        self,
        name: str,
        settings: CommonSettings,
        *,
        teller: str | None = None,
        clock: Clock = utc_now,
        doors: frozenset[Door] = ALL_DOORS,
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self.name = name
        self.settings = settings
        self.doors = doors
        self.end_process = end_process
        self.alarm = Alarm()
        self.database = Database(
            settings.service_database_url(name),
            service=name,
            teller=teller or name,
            pool_size=settings.database_pool_size,
            clock=clock,
        )
        self.producer = Producer(settings, client_id=f"relance-{name}")

    def app(
        self,
        *,
        handlers: EventRouter | None = None,
        jobs: Sequence[Job] = (),
        routes: Sequence[APIRouter] = (),
        doorways: Mapping[str, ASGIApp] | None = None,
        keepings: Sequence[Keeping] = (),
        closers: Sequence[Closer] = (),
    ) -> FastAPI:
        """The ASGI application; its lifespan is the service's life.

        `doorways` are plain ASGI applications by exact path, for what is called thousands of times a second.
        `keepings`: how long rows are kept of tables that only this service has.
        """
        running = _Running(self, handlers, [*jobs, self._housekeeping_job(keepings)], closers)

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            running.start()
            try:
                yield
            finally:
                await running.stop()

        app = _ServiceApp(title=f"Relance {self.name}", lifespan=lifespan, docs_url=None, redoc_url=None)
        app.include_router(health.create_router(self.database, self.producer, running.is_started))
        if Door.HTTP in self.doors:
            for router in routes:
                app.include_router(router)
        app.doorways = doorways if doorways and Door.HTTP in self.doors else {}
        return app

    def _housekeeping_job(self, keepings: Sequence[Keeping]) -> Job:
        housekeeping = Housekeeping(
            self.database,
            [*frame_keepings(self.settings), *keepings],
            batch=self.settings.housekeeping_batch,
        )
        return Job("housekeeping", housekeeping.tidy, every_seconds=self.settings.housekeeping_seconds)


class _ServiceApp(FastAPI):
    """FastAPI, but for the plain applications of exact paths, which it does not even look at."""

    doorways: Mapping[str, ASGIApp]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        doorway = self.doorways.get(scope["path"]) if scope["type"] == "http" else None
        if doorway is not None:
            await doorway(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class _Running:
    """The tasks of a service that runs, and how they end."""

    def __init__(
        self, service: Service, handlers: EventRouter | None, jobs: Sequence[Job], closers: Sequence[Closer]
    ) -> None:
        self._service = service
        self._settings = service.settings
        self._alarm = service.alarm
        self._closers = closers
        self._tasks: list[asyncio.Task[None]] = []
        self._started: set[str] = set()
        self._consumer: Consumer | None = None
        self._jobs: list[Job] = []
        if handlers is not None and Door.KAFKA in service.doors:
            self._consumer = Consumer(handlers, service.database, self._settings, self._alarm)
            self._jobs.append(self._inbox_job(handlers))
            self._jobs.append(
                Job("watchdog", self._watch, every_seconds=self._settings.watchdog_seconds / LOOKS)
            )
        if Door.CLOCK in service.doors:
            self._jobs.extend(jobs)
        if service.doors & {Door.KAFKA, Door.CLOCK}:
            self._jobs.append(Job("figures", self._take_figures, every_seconds=FIGURES_SECONDS))
            # Not with the HTTP door alone: whoever works the others relays what is told there.
            self._jobs.append(self._relay_job())

    def _inbox_job(self, handlers: EventRouter) -> Job:
        worker = Worker(handlers, self._service.database, self._settings)
        return Job(
            "inbox",
            worker.work,
            every_seconds=self._settings.poll_seconds,
            wake_on=INBOX_BELL,
            workers=self._settings.inbox_workers,
        )

    def _relay_job(self) -> Job:
        async def relay() -> int:
            return await relay_facts(self._service.database, self._service.producer)

        return Job("relay", relay, every_seconds=self._settings.poll_seconds, wake_on="outbox")

    def is_started(self) -> bool:
        return "producer" in self._started and (self._consumer is None or "consumer" in self._started)

    def start(self) -> None:
        self._spawn(self._start_until_up("producer", self._service.producer.start))
        if self._consumer is not None:
            self._spawn(self._start_until_up("consumer", self._consumer.start))
        if self._jobs:
            self._spawn(listen(self._service.database, self._alarm))
        for job in self._jobs:
            for _ in range(job.workers):
                self._spawn(self._keep_running(job))

    def _spawn(self, work: Awaitable[None]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def _keep_running(self, job: Job) -> None:
        settings = self._settings
        await keep_running(
            job,
            self._alarm,
            service=self._service.name,
            first=min(settings.retry_first_seconds, settings.poll_seconds),
            longest=settings.poll_seconds,
        )

    async def _start_until_up(self, what: str, start: Callable[[], Awaitable[None]]) -> None:
        bell = self._alarm.bell(what)
        while not self._alarm.is_stopping:
            try:
                await start()
            except Exception as error:
                log.warning("%s cannot start yet: %s", what, brief(error))
                await rest(bell, START_AGAIN_SECONDS)
            else:
                self._started.add(what)
                log.info("%s started", what)
                return

    async def _watch(self) -> int:
        if self._consumer is None or "consumer" not in self._started:
            return 0
        try:
            return await self._consumer.watch()
        except StalledError as error:
            log.critical("this process ends so that a new one can read on: %s", error)
            await self._finish_what_is_in_hand()
            # A consumer that stands still holds threads and sockets that no clean stop gets back.
            logging.shutdown()
            self._service.end_process(STALLED_EXIT_CODE)
            return 0

    async def _finish_what_is_in_hand(self) -> None:
        """A mail that is cut off in the middle becomes `unknown`, for a person to settle."""
        self._alarm.stop()
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        if others:
            await asyncio.wait(others, timeout=self._settings.shutdown_seconds)

    async def _take_figures(self) -> int:
        async with self._service.database.begin() as uow:
            figures = await inbox.get_figures(uow.session)
        name = self._service.name
        INBOX_PENDING.labels(name).set(figures.pending)
        INBOX_OLDEST_SECONDS.labels(name).set(figures.oldest_seconds)
        DEAD_LETTERS.labels(name).set(figures.dead)
        OUTBOX_PENDING.labels(name).set(figures.untold)
        return 0

    async def stop(self) -> None:
        """Nothing new is begun, what is in hand is finished; what takes too long is canceled."""
        log.info("stopping")
        self._alarm.stop()
        await self._stop_consumer()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._settings.shutdown_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stop_consumer()  # it may have started meanwhile
        for close in (*self._closers, self._service.producer.stop, self._service.database.close):
            await self._within(getattr(close, "__qualname__", "closer"), close())
        log.info("stopped")

    async def _stop_consumer(self) -> None:
        if self._consumer is not None and "consumer" in self._started:
            self._started.discard("consumer")
            await self._within("consumer", self._consumer.stop())

    async def _within(self, what: str, work: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._settings.shutdown_seconds):
                await work
        except Exception as error:
            log.warning("%s did not stop cleanly: %s", what, brief(error))
