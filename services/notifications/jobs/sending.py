"""Claim, send, note: a channel's carrier is kept busy, and no transaction waits for a server."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence

from libs.common.database import Database
from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome
from libs.common.jobs import backoff_seconds, brief
from libs.common.telemetry import current_traceparent
from services.notifications import domain
from services.notifications.domain import Channel, Letter, Outcome, Status, Why
from services.notifications.jobs.carriers import Carrier
from services.notifications.jobs.claiming import claim_due_deliveries
from services.notifications.jobs.noting import Noter
from services.notifications.jobs.pace import Pace
from services.notifications.jobs.turns import Turns
from services.notifications.settings import NotificationsSettings

log = logging.getLogger("relance.notifications")

# While the server is so quick that they leave within this, letters are claimed ahead: claiming many at once
# costs hardly more than claiming one, and no connection rests meanwhile.
AHEAD_SECONDS = 0.25
# So many letters ahead for each connection.
MOST_AHEAD = 8
# A letter's turn, and then a connection, must each come within this share of its lease; sending it may take
# `send_seconds`, nine tenths.
WAIT_SHARE = 0.04
# Of the newest send in the mean of how long they take.
NEWEST_WEIGHT = 0.1


class Sending:
    """One channel's sends in hand. No more letters than its carrier has room for are begun, and half as many
    that stand ready for it; while its server is quick others are claimed ahead, and wait for their turn."""

    def __init__(self, database: Database, carrier: Carrier, settings: NotificationsSettings) -> None:
        self._database = database
        self._carrier = carrier
        self._settings = settings
        self._sends: set[asyncio.Task[None]] = set()
        self._noter = Noter(database)
        # SMS have their provider's own.
        is_mail = carrier.channel is Channel.MAIL
        self._pace = Pace(settings.mail_rate_per_second if is_mail else None)
        self._may_claim_ahead = is_mail and not self._pace.is_set
        self._connections = asyncio.Semaphore(carrier.size)
        self._wait_seconds = settings.lease_seconds * WAIT_SHARE
        self._turns = Turns(database, carrier.size + carrier.size // 2, self._wait_seconds, self)
        self._mean_seconds = math.inf
        self._has_changed = asyncio.Event()

    @property
    def name(self) -> str:
        return f"send_{self._carrier.channel}"

    @property
    def begun(self) -> int:
        """Letters that are being sent, or that nobody can say of that they are not."""
        return len(self._sends)

    async def wait_for_change(self) -> None:
        """Until a send has ended or letters have had their turn."""
        self._has_changed.clear()
        await self._has_changed.wait()

    async def send_due(self) -> int:
        """One turn: claims what is due, begins to send it and does not wait for it."""
        at_once = 0 if self._turns.waiting else max(0, self._carrier.size - self.begun)
        ahead = max(0, self._ahead - self._turns.waiting)
        if not at_once and ahead <= self._ahead // 2:
            await self.wait_for_change()
            return 1
        room = self._carrier.room(await self._pace.room(at_once + ahead))
        if room <= 0:
            return int(self._pace.is_set)
        letters: list[Letter] = []
        try:
            async with self._database.begin() as uow:
                done = await claim_due_deliveries(
                    uow, self._carrier, self._settings, letters, limit=room, at_once=at_once
                )
        except Exception:
            self.give_back(letters, "the claim was not confirmed")
            raise
        if not letters:
            self._carrier.give_back_room()
        await self._pace.take(len(letters))
        for letter in letters[:at_once]:
            self.begin(letter)
        self._turns.add(letters[at_once:])
        return done

    @property
    def _ahead(self) -> int:
        """How many may wait for their turn."""
        if not self._may_claim_ahead:
            return 0
        size = self._carrier.size
        seconds = min(AHEAD_SECONDS, self._wait_seconds / 4)
        return min(size * MOST_AHEAD, int(size * seconds / self._mean_seconds))

    def give_back(self, letters: Sequence[Letter], why: str) -> None:
        """These were certainly not sent; the database may have heard of them although its answer was lost."""
        for letter in letters:
            self._noter.add(letter.delivery, self._not_sent(why))

    def _not_sent(self, why: str) -> Outcome:
        return Outcome(Status.PENDING, why, due_at=self._database.clock())

    def begin(self, letter: Letter) -> None:
        """Its turn has come, and that is stored."""
        task = asyncio.create_task(self._send(letter))
        self._sends.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._sends.discard(task)
        self._has_changed.set()

    def note_turns(self) -> None:
        self._has_changed.set()

    async def _send(self, letter: Letter) -> None:
        current_traceparent.set(letter.delivery.traceparent)  # of this task alone
        outcome = await self._outcome_on_a_connection(letter)
        log.info("delivery %s (%s): %s %s", letter.delivery.id, letter.delivery.kind, outcome.status,
                 outcome.answer)  # fmt: skip
        self._noter.add(letter.delivery, outcome)

    async def _outcome_on_a_connection(self, letter: Letter) -> Outcome:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._connections.acquire()
        except TimeoutError:
            # The server has become slow meanwhile.
            return self._not_sent("no connection became free")
        began = time.monotonic()
        try:
            return await self._outcome_of(letter)
        finally:
            self._connections.release()
            self._note_seconds(time.monotonic() - began)

    def _note_seconds(self, seconds: float) -> None:
        if math.isinf(self._mean_seconds):
            self._mean_seconds = seconds
        self._mean_seconds += (seconds - self._mean_seconds) * NEWEST_WEIGHT

    async def _outcome_of(self, letter: Letter) -> Outcome:
        try:
            async with asyncio.timeout(self._settings.send_seconds):
                taken = await self._carrier.carry(letter.recipient, letter.content, letter.delivery)
        except PermanentFailure as failure:
            return Outcome(Status.FAILED, brief(failure), Why.REFUSED)
        except TemporaryFailure as failure:
            return self._try_again(letter, failure)
        except UnknownOutcome as lost:
            return Outcome(Status.UNKNOWN, brief(lost))
        except TimeoutError:
            # Broken off before the letter was handed over; afterwards it would be an UnknownOutcome.
            return self._try_again(letter, TemporaryFailure("the server was too slow"))
        except Exception as error:
            log.exception("delivery %s: nobody can tell whether it left", letter.delivery.id)
            return Outcome(Status.UNKNOWN, brief(error))
        return Outcome(Status.ACCEPTED, taken.answer, provider_id=taken.provider_id)

    def _try_again(self, letter: Letter, failure: TemporaryFailure) -> Outcome:
        wait_seconds = backoff_seconds(
            letter.delivery.attempts - 1,
            first=self._settings.retry_first_seconds,
            longest=self._settings.retry_longest_seconds,
        )
        return domain.after_temporary_failure(
            letter.delivery,
            brief(failure),
            now=self._database.clock(),
            wait_seconds=max(wait_seconds, failure.retry_after_seconds or 0),
        )

    async def finish(self) -> None:
        """The clean stop: sends in hand come to their end and are noted; none is broken off."""
        try:
            await self._turns.close()
            while self._sends:
                await asyncio.wait(self._sends)
            await self._noter.finish()
        finally:
            if left := len(self._sends) + self._noter.waiting:
                log.warning("stopped with %s sends in hand: they will be unknown", left)
