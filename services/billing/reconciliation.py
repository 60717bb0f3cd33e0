"""Nothing missed: a walk through what Stripe lists, taking in what billing has not heard.

A turn is one window of events, or one page of open invoices; its place is stored under the claim's fence, so
that whoever comes next, after a kill too, goes on from there. What is missing is appended to `stripe.events`,
behind the signature: from there on it is an event like any other, and the inbox makes it act once.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from libs.common.clock import Clock
from libs.common.database import Database, is_outage
from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure, UnknownOutcome
from libs.common.jobs import backoff_seconds, brief
from libs.common.outbox import LARGEST_EVENT_BYTES
from libs.common.producer import Producer
from libs.common.telemetry import current_traceparent
from libs.common.topics import topic_of
from libs.integrations.stripe import Stripe, StripeEvent, read_event
from libs.integrations.stripe.events import type_groups
from libs.integrations.stripe.fields import JsonObject
from services.billing import queries
from services.billing.claims import LostClaimError
from services.billing.domain import walk
from services.billing.domain.walk import Window
from services.billing.open_invoices import begin_missed_cycles
from services.billing.queries.reconciliation import WalkRow
from services.billing.records import BY_RECONCILIATION, record_of
from services.billing.settings import BillingSettings

log = logging.getLogger("relance.reconciliation")

IDLE, EVENTS, INVOICES = "idle", "events", "invoices"


@dataclass(frozen=True, slots=True)
class Listed:
    """An event as Stripe lists it, and as its record."""

    event: StripeEvent
    record: Envelope

    @property
    def is_too_large(self) -> bool:
        return len(self.record.data) > LARGEST_EVENT_BYTES


class Reconciliation:
    """Takes on the walk, one turn at a time; of several processes, whoever has the lease."""

    def __init__(
        self, database: Database, stripe: Stripe, producer: Producer, settings: BillingSettings, clock: Clock
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._producer = producer
        self._settings = settings
        self._clock = clock
        self._overlap = timedelta(seconds=settings.stripe_reconcile_overlap_seconds)
        self._grace = timedelta(seconds=settings.stripe_reconcile_grace_seconds)

    async def go_on(self) -> int:
        """Answers 1 when there was a turn to do, 0 when no walk is due or another process is at it."""
        async with self._database.begin() as uow:
            await queries.reconciliation.settle_missed(uow.session)
            claimed = await queries.reconciliation.claim_walk(
                uow.session, lease_seconds=self._settings.lease_seconds
            )
        if claimed is None:
            return 0
        current_traceparent.set(claimed.traceparent)
        try:
            await self._turn(claimed)
        except LostClaimError as error:
            log.warning("the walk through Stripe's events: %s", error)
        except Exception as error:
            await self._postpone(claimed, error)
        return 1

    async def _turn(self, claimed: WalkRow) -> None:
        if claimed.stage == INVOICES:
            await self._walk_invoices(claimed)
            return
        is_begun = claimed.stage == IDLE
        at = self._begun(claimed) if is_begun else claimed
        assert at.since is not None, "a walk that is under way has a place"
        window = walk.window_at(at.since, at.length, self._clock())
        listed = await self._list(at, window)
        if listed is None:
            return
        await self._take_in(at, listed)
        await self._save(self._after(at, window, listed), is_begun=is_begun)

    def _begun(self, row: WalkRow) -> WalkRow:
        now = self._clock()
        since = walk.begin_at(row.reached_at, now, self._overlap)
        return replace(
            row, began_at=now, since=since, length=walk.FIRST_LENGTH, listed=0, invoices_after=None
        )

    # -- what Stripe lists

    async def _list(self, at: WalkRow, window: Window) -> list[Listed] | None:
        """A window's events, oldest first; None when there are so many that a shorter one was noted."""
        found: list[Listed] = []
        for types in type_groups():
            before_id: str | None = None
            while True:
                page = await self._stripe.list_events(
                    types, since=window.since, until=window.until, older_than=before_id
                )
                found.extend(filter(None, map(self._read, page.events)))
                if not page.has_more:
                    break
                if len(found) >= walk.MOST and walk.can_be_shorter(at.length):
                    await self._shorten(at, found)
                    return None
                before_id = page.events[-1]["id"]
                await self._hold_on(at)
        found.reverse()
        return sorted(found, key=lambda each: each.event.created_at)

    def _read(self, thing: JsonObject) -> Listed | None:
        """None, said aloud, for what is no event: the walk must not stand still before it."""
        try:
            event = read_event(thing)
        except PermanentFailure:
            log.exception("Stripe lists something that is not an event: %s", thing.get("id"))
            return None
        body = json.dumps(thing, separators=(",", ":")).encode()
        return Listed(event, record_of(thing, body, source=BY_RECONCILIATION, now=self._clock()))

    async def _shorten(self, at: WalkRow, found: list[Listed]) -> None:
        span = walk.span_of(each.event.created_at for each in found)
        shorter = replace(at, stage=EVENTS, length=walk.shorter_than(at.length, len(found), span))
        await self._save(shorter, is_begun=at.stage == IDLE)

    # -- what is missing

    async def _take_in(self, at: WalkRow, listed: list[Listed]) -> None:
        """Noted as missing before it is appended: a kill in between appends it again, and counts it once."""
        now = self._clock()
        old_enough = [each for each in listed if each.event.created_at <= now - self._grace]
        async with self._database.begin() as uow:
            if not await queries.reconciliation.hold_on(
                uow.session, at, lease_seconds=self._settings.lease_seconds
            ):
                raise LostClaimError("another process took it over")
            unknown = await queries.reconciliation.list_unknown(
                uow.session, [each.event.id for each in old_enough]
            )
            missing = [each for each in old_enough if each.event.id in unknown]
            noted = [(each.event, "too_large" if each.is_too_large else None) for each in missing]
            await queries.reconciliation.add_missed(uow.session, noted, now)
        for each in missing:
            if each.is_too_large:
                log.error("Stripe event %s is too large for Kafka and stays missing", each.event.id)
        topic = topic_of("stripe")
        records = [(topic, each.record) for each in missing if not each.is_too_large]
        if records:
            log.warning("%s Stripe events had not been heard and are taken in", len(records))
            await self._producer.append_all(records)

    def _after(self, at: WalkRow, window: Window, listed: list[Listed]) -> WalkRow:
        """The place after a window; after the last one come the open invoices."""
        newest = max((each.event.created_at for each in listed), default=at.newest_at)
        newest_at = newest if at.newest_at is None or newest is None else max(newest, at.newest_at)
        following = replace(at, newest_at=newest_at, listed=at.listed + len(listed))
        if window.until is None:
            reached_at = walk.reached(window.since, newest_at)
            return replace(following, stage=INVOICES, reached_at=reached_at)
        length = walk.length_after(len(listed), window.until - window.since)
        return replace(following, stage=EVENTS, since=window.until, length=length)

    # -- open invoices

    async def _walk_invoices(self, at: WalkRow) -> None:
        page = await self._stripe.list_open_invoices(
            since=self._clock() - timedelta(days=self._settings.stripe_reconcile_invoice_days),
            older_than=at.invoices_after,
        )
        await begin_missed_cycles(self._database, self._stripe, page.invoices, at)
        if page.has_more:
            await self._save(replace(at, invoices_after=page.invoices[-1].id))
        else:
            await self._save(replace(at, stage=IDLE, invoices_after=None))
            log.info("walked through what Stripe lists: %s events", at.listed)

    # -- the claim

    async def _hold_on(self, at: WalkRow) -> None:
        async with self._database.begin() as uow:
            is_ours = await queries.reconciliation.hold_on(
                uow.session, at, lease_seconds=self._settings.lease_seconds
            )
        if not is_ours:
            raise LostClaimError("another process took it over")

    async def _save(self, row: WalkRow, *, is_begun: bool = False) -> None:
        async with self._database.begin() as uow:
            if not await queries.reconciliation.save_walk(uow.session, row, is_begun=is_begun):
                raise LostClaimError("another process took it over")

    async def _postpone(self, row: WalkRow, error: Exception) -> None:
        wait_seconds = backoff_seconds(
            row.failures,
            first=self._settings.retry_first_seconds,
            longest=self._settings.retry_longest_seconds,
        )
        is_expected = is_outage(error) or isinstance(error, UnknownOutcome)
        log.log(
            logging.WARNING if is_expected else logging.ERROR,
            "the walk through Stripe's events goes on in %.1f s: %s",
            wait_seconds,
            brief(error),
            exc_info=None if is_expected else error,
        )
        async with self._database.begin() as uow:
            await queries.reconciliation.release_walk(
                uow.session, row, wait_seconds=wait_seconds, failure=brief(error)
            )
