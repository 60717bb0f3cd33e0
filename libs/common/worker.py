"""The inbox's worker: one event, one unit of work, once; oldest first of each key, everyone else goes on."""

from __future__ import annotations

import logging

from libs.common import inbox
from libs.common.database import Database, Uow, is_outage
from libs.common.errors import PermanentFailure, TemporaryFailure
from libs.common.inbox import Waiting
from libs.common.jobs import backoff_seconds, brief
from libs.common.router import EventRouter, Heard, Taken
from libs.common.set_aside import tell_set_aside
from libs.common.settings import CommonSettings
from libs.common.telemetry import EVENTS_HANDLED, HANDLING_SECONDS

log = logging.getLogger("relance.worker")


class Worker:
    """Works a batch of heads of keys in one transaction; when that fails, each alone, so that one poisonous
    event costs the others a repetition and nothing else."""

    def __init__(self, router: EventRouter, database: Database, settings: CommonSettings) -> None:
        self._router = router
        self._database = database
        self._settings = settings

    async def work(self) -> int:
        """One turn; answers how many events were looked at."""
        batch: list[Waiting] = []
        try:
            with HANDLING_SECONDS.labels(self._router.service).time():
                async with self._database.begin() as uow:
                    batch.extend(await inbox.claim_batch(uow.session, limit=self._settings.inbox_batch))
                    await self._handle(batch, uow)
        except Exception as error:
            if not batch:
                raise
            if len(batch) == 1:
                await self._note_failure(batch[0], error)  # it was alone: nobody else can be to blame
            else:
                log.info("a batch of %s is worked one by one: %s", len(batch), brief(error))
                for waiting in batch:
                    await self._work_alone(waiting.seq)
            return len(batch)
        for waiting in batch:
            EVENTS_HANDLED.labels(self._router.service, waiting.envelope.type, "done").inc()
        return len(batch)

    async def _handle(self, batch: list[Waiting], uow: Uow) -> None:
        """All of a batch, type by type: its keys differ, so that no key's order is touched."""
        by_type: dict[str, list[Waiting]] = {}
        for waiting in batch:
            by_type.setdefault(waiting.envelope.type, []).append(waiting)
        for event_type, alike in by_type.items():
            await self._handle_alike(event_type, alike, uow)
        await uow.flush()
        if batch:
            await inbox.mark_done(uow.session, [waiting.seq for waiting in batch])

    async def _handle_alike(self, event_type: str, alike: list[Waiting], uow: Uow) -> None:
        handler, fold = self._router.handlers.get(event_type), self._router.folds.get(event_type)
        if handler is None and fold is None:
            raise PermanentFailure(f"{self._router.service} has no handler for {event_type}")
        heard = [(Heard(waiting.envelope.event(), waiting.envelope), waiting) for waiting in alike]
        # What failed before may be here because its fold did; to fold again what was folded changes nothing.
        again = [fact for fact, waiting in heard if waiting.cause is not None]
        if fold is not None and again:
            await fold(again, uow.session)
        if handler is not None:
            await handler([Taken(fact.event, uow.caused_by(fact.envelope)) for fact, _ in heard])

    async def _work_alone(self, seq: int) -> None:
        waiting: Waiting | None = None
        try:
            async with self._database.begin() as uow:
                waiting = await inbox.claim_one(uow.session, seq)
                if waiting is not None:
                    await self._handle([waiting], uow)
        except Exception as error:
            if waiting is None:
                raise
            await self._note_failure(waiting, error)
        else:
            if waiting is not None:
                EVENTS_HANDLED.labels(self._router.service, waiting.envelope.type, "done").inc()

    async def _note_failure(self, waiting: Waiting, error: Exception) -> None:
        is_counted = not is_outage(error)
        is_last = waiting.attempts + 1 >= self._settings.retry_attempts
        if isinstance(error, PermanentFailure) or (is_counted and is_last):
            await self._set_aside(waiting, error)
        else:
            await self._postpone(waiting, error, is_counted=is_counted)

    async def _postpone(self, waiting: Waiting, error: Exception, *, is_counted: bool) -> None:
        wait_seconds = backoff_seconds(
            waiting.attempts if is_counted else 0,
            first=self._settings.retry_first_seconds,
            longest=self._settings.retry_longest_seconds,
        )
        if isinstance(error, TemporaryFailure) and error.retry_after_seconds is not None:
            wait_seconds = max(wait_seconds, error.retry_after_seconds)
        log.warning("%s %s of %s postponed: %s", waiting.envelope.type, waiting.envelope.event_id,
                    waiting.envelope.key, brief(error), exc_info=error if is_counted else None)  # fmt: skip
        EVENTS_HANDLED.labels(self._router.service, waiting.envelope.type, "postponed").inc()
        async with self._database.begin() as uow:
            await inbox.postpone(
                uow.session, waiting, wait_seconds=wait_seconds, cause=brief(error), is_counted=is_counted
            )

    async def _set_aside(self, waiting: Waiting, error: Exception) -> None:
        envelope, service, cause = waiting.envelope, self._router.service, brief(error)
        async with self._database.begin() as uow:
            if not await inbox.mark_dead(uow.session, waiting, cause=cause):
                return
            await tell_set_aside(uow, envelope, service=service, cause=cause, attempts=waiting.attempts + 1)
        log.error("%s %s of %s set aside: %s", envelope.type, envelope.event_id, envelope.key, cause,
                  exc_info=None if isinstance(error, PermanentFailure) else error)  # fmt: skip
        EVENTS_HANDLED.labels(service, envelope.type, "dead").inc()
