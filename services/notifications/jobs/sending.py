"""Claim, send, note: a channel's carrier is kept busy, and no transaction waits for a server."""

from __future__ import annotations

import asyncio
import logging
import math
import time

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
from services.notifications.settings import NotificationsSettings

log = logging.getLogger("relance.notifications")

# While the server is so quick that they leave within this, letters wait behind the connections: claiming many
# at once costs hardly more than claiming one, and no connection rests while others are claimed.
AHEAD_SECONDS = 0.25
# So many letters behind each connection: few, as a kill makes `unknown` of whatever is in hand.
MOST_AHEAD = 4
# A letter's turn must come within this share of its lease; sending it may take `send_seconds`, nine tenths.
WAIT_SHARE = 0.05
# Of the newest send in the mean of how long they take.
NEWEST_WEIGHT = 0.1


class Sending:
    """One channel's sends in hand. At most as many deliveries are claimed as its carrier has room for, and,
    while its server is quick, a few that wait behind them."""

    def __init__(self, database: Database, carrier: Carrier, settings: NotificationsSettings) -> None:
        self._database = database
        self._carrier = carrier
        self._settings = settings
        self._sends: set[asyncio.Task[None]] = set()
        self._noter = Noter(database)
        # SMS have their provider's own.
        is_mail = carrier.channel is Channel.MAIL
        self._pace = Pace(settings.mail_rate_per_second if is_mail else None)
        self._may_wait = is_mail and not self._pace.is_set
        self._slots = asyncio.Semaphore(carrier.size)
        self._mean_seconds = math.inf
        # Well within the time in which a turn must come.
        self._ahead_seconds = min(AHEAD_SECONDS, settings.lease_seconds * WAIT_SHARE / 4)

    @property
    def name(self) -> str:
        return f"send_{self._carrier.channel}"

    async def send_due(self) -> int:
        """One turn: claims what is due, begins to send it and does not wait for it."""
        ahead = self._ahead
        free = self._carrier.size + ahead - len(self._sends)
        if free <= ahead // 2:
            await asyncio.wait(self._sends, return_when=asyncio.FIRST_COMPLETED)
            return 1
        room = self._carrier.room(await self._pace.room(free))
        if room <= 0:
            return int(self._pace.is_set)
        letters: list[Letter] = []
        try:
            async with self._database.begin() as uow:
                done = await claim_due_deliveries(uow, self._carrier, self._settings, letters, limit=room)
        except Exception:
            self._give_back(letters)
            raise
        if not letters:
            self._carrier.give_back_room()
        await self._pace.take(len(letters))
        for letter in letters:
            self._begin_to_send(letter)
        return done

    @property
    def _ahead(self) -> int:
        """How many may be claimed beyond those that are being sent."""
        if not self._may_wait:
            return 0
        size = self._carrier.size
        return min(size * MOST_AHEAD, int(size * self._ahead_seconds / self._mean_seconds))

    def _give_back(self, letters: list[Letter]) -> None:
        """The commit may have been stored although its answer was lost; these were certainly not sent."""
        for letter in letters:
            not_sent = Outcome(Status.PENDING, "the claim was not confirmed", due_at=self._database.clock())
            self._noter.add(letter.delivery, not_sent)

    def _begin_to_send(self, letter: Letter) -> None:
        task = asyncio.create_task(self._send(letter))
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)

    async def _send(self, letter: Letter) -> None:
        current_traceparent.set(letter.delivery.traceparent)  # of this task alone
        outcome = await self._outcome_in_turn(letter)
        log.info("delivery %s (%s): %s %s", letter.delivery.id, letter.delivery.kind, outcome.status,
                 outcome.answer)  # fmt: skip
        self._noter.add(letter.delivery, outcome)

    async def _outcome_in_turn(self, letter: Letter) -> Outcome:
        try:
            async with asyncio.timeout(self._settings.lease_seconds * WAIT_SHARE):
                await self._slots.acquire()
        except TimeoutError:
            # The server has become slow meanwhile; this one was certainly not sent.
            return Outcome(Status.PENDING, "its turn did not come", due_at=self._database.clock())
        began = time.monotonic()
        try:
            return await self._outcome_of(letter)
        finally:
            self._slots.release()
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
            while self._sends:
                await asyncio.wait(self._sends)
            await self._noter.finish()
        finally:
            if left := len(self._sends) + self._noter.waiting:
                log.warning("stopped with %s sends in hand: they will be unknown", left)
