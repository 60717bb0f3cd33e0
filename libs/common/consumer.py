"""The reader: from Kafka into the inbox and the folds; a batch, one transaction, then the offset.

FastStream's own defaults lose messages; everything that must be set is set here and nowhere else:
earliest offsets, a group, no acknowledgement before the transaction committed, no replies, and a parser that
survives headers which are not UTF-8 (its own dies on them and the batch is lost).
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from aiokafka import ConsumerRecord
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage, Topic

from libs.common import inbox
from libs.common.clock import utc_now
from libs.common.database import Database, Uow, is_outage
from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure
from libs.common.events import EVENTS
from libs.common.events.event import uuid_of
from libs.common.jobs import Alarm, brief, printable
from libs.common.router import EventRouter, Heard
from libs.common.set_aside import LONGEST_SHOWN, tell_set_aside
from libs.common.settings import CommonSettings
from libs.common.telemetry import CONSUMER_LAG, EVENTS_READ
from libs.common.watchdog import Watchdog

log = logging.getLogger("relance.consumer")

Record: TypeAlias = ConsumerRecord

LARGEST_BATCH = 500
OUTAGE_REST_SECONDS = 0.5
INBOX_BELL = "inbox"


class Consumer:
    """Reads every topic that the router listens to, as the group of the service."""

    def __init__(
        self, router: EventRouter, database: Database, settings: CommonSettings, alarm: Alarm
    ) -> None:
        self._router = router
        self._database = database
        self._settings = settings
        self._alarm = alarm
        self._warned_types: set[str] = set()
        self._is_storing = False
        self.broker = KafkaBroker(
            settings.kafka_bootstrap_servers,
            client_id=f"relance-{router.service}",
            allow_auto_create_topics=False,
            consumer_only=True,
            graceful_timeout=settings.shutdown_seconds,
            logger=None,
        )
        prefix = settings.kafka_topic_prefix
        group = prefix + router.service
        self._watchdog = Watchdog(settings, group=group)
        self._subscriber = self.broker.subscriber(
            *(Topic(prefix + topic, declare=False) for topic in router.topics()),
            group_id=group,
            batch=True,
            max_records=LARGEST_BATCH,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            no_reply=True,
            session_timeout_ms=int(settings.kafka_session_seconds * 1000),
            heartbeat_interval_ms=min(3000, int(settings.kafka_session_seconds * 1000 / 10)),
            parser=_parse,
            decoder=_leave_raw,
        )
        self._subscriber(self._store)

    async def start(self) -> None:
        """Raises KafkaError while no broker answers."""
        try:
            await self.broker.start()
        except BaseException:
            await self._close_what_is_half_open()
            raise
        self._watchdog.note_progress()

    async def _close_what_is_half_open(self) -> None:
        """It would stay: a connection with each try, or a member of the group that reads nothing."""
        try:
            async with asyncio.timeout(self._settings.shutdown_seconds):
                await self.broker.stop()
        except Exception as error:
            log.warning("a reader that did not start did not close either: %s", brief(error))

    async def stop(self) -> None:
        await self.broker.stop()

    async def _store(self, message: KafkaMessage) -> None:
        records: Sequence[Record] = message.raw_message  # a batch's is a tuple
        self._is_storing = True
        self._watchdog.note_progress()
        try:
            await self._store_or_wait(records)
        finally:
            self._is_storing = False
            self._watchdog.note_progress()

    async def _store_or_wait(self, records: Sequence[Record]) -> None:
        """Outages are waited out here: a raised error would make FastStream re-read without pause."""
        arrivals = [self._read(record) for record in records]
        while True:
            try:
                await self._store_bisecting(arrivals)
            except Exception as error:
                log.warning("cannot store what was read, will try again: %s", brief(error))
                if self._alarm.is_stopping:
                    raise
                await asyncio.sleep(OUTAGE_REST_SECONDS)
            else:
                return

    async def _store_bisecting(self, arrivals: Sequence[inbox.Arrival]) -> None:
        """One transaction; when it fails for what it holds, halves, down to the one that is set aside."""
        try:
            await self._store_batch(arrivals)
        except Exception as error:
            if is_outage(error):
                raise
            if len(arrivals) > 1:
                half = len(arrivals) // 2
                await self._store_bisecting(arrivals[:half])
                await self._store_bisecting(arrivals[half:])
            else:
                await self._set_aside(arrivals[0], error)

    async def _store_batch(self, arrivals: Sequence[inbox.Arrival]) -> None:
        wanted = [a for a in arrivals if a.cause or a.envelope.type in self._router.handlers]
        async with self._database.begin() as uow:
            if wanted:
                await inbox.add(uow.session, wanted)
            for arrival in wanted:
                await self._tell_set_aside(arrival, uow)
            for event_type, fold in self._router.folds.items():
                heard = [a for a in arrivals if not a.cause and a.envelope.type == event_type]
                if heard:
                    await fold([Heard(a.envelope.event(), a.envelope, a.offset) for a in heard], uow.session)
        for arrival in arrivals:
            self._count(arrival)
        if wanted:
            self._alarm.ring(INBOX_BELL)

    async def _set_aside(self, arrival: inbox.Arrival, error: Exception) -> None:
        """As it came, so that a replay finds it whole; what the database refuses, in letters it takes."""
        dead = dataclasses.replace(arrival, cause=brief(error))
        try:
            await self._add_dead(dead)
        except Exception as refusal:
            if is_outage(refusal):
                raise
            await self._add_dead(dataclasses.replace(dead, envelope=_storable(dead.envelope)))
        log.error("set aside %s of %s: %s", arrival.envelope.event_id, _place(arrival), dead.cause)

    async def _add_dead(self, dead: inbox.Arrival) -> None:
        async with self._database.begin() as uow:
            await inbox.add(uow.session, [dead])
            await self._tell_set_aside(dead, uow)

    async def _tell_set_aside(self, arrival: inbox.Arrival, uow: Uow) -> None:
        if arrival.cause:
            service = self._router.service
            await tell_set_aside(uow, arrival.envelope, service=service, cause=arrival.cause, attempts=0)

    def _count(self, arrival: inbox.Arrival) -> None:
        kind = arrival.envelope.type
        outcome = "unreadable" if arrival.cause else "heard" if kind in self._router.heard else "not_ours"
        EVENTS_READ.labels(self._router.service, arrival.topic, outcome).inc()
        if not arrival.cause and kind not in EVENTS and kind not in self._warned_types:
            self._warned_types.add(kind)
            log.warning("unknown event type %r on %s: ignored here, kept in Kafka", kind, arrival.topic)

    def _read(self, record: Record) -> inbox.Arrival:
        try:
            envelope = Envelope.read(record.key, record.value, record.headers)
            cause = None
        except (PermanentFailure, ValueError) as error:
            envelope, cause = _unreadable(record), brief(error)
            place = f"{record.topic}/{record.partition}@{record.offset}"
            log.error("a message on %s does not parse, set aside: %s", place, cause)  # noqa: TRY400
        topic = record.topic.removeprefix(self._settings.kafka_topic_prefix)
        return inbox.Arrival(topic, record.partition, record.offset, envelope, cause)

    async def watch(self) -> int:
        """Raises StalledError when there is lag and nothing is read for `watchdog_seconds`."""
        consumer = getattr(self._subscriber, "consumer", None)
        if consumer is None or self._is_storing:
            self._watchdog.note_progress()
        else:
            CONSUMER_LAG.labels(self._router.service).set(await self._watchdog.look(consumer))
        return 0


async def _parse(records: tuple[Record, ...], parse: Callable[[tuple[Record, ...]], Awaitable[Any]]) -> Any:
    message = await parse(tuple(dataclasses.replace(record, headers=()) for record in records))
    message.raw_message = records
    return message


async def _leave_raw(message: Any) -> Any:
    return message.raw_message


def _unreadable(record: Record) -> Envelope:
    """Something storable for a message that is not an event: its bytes, under an id made of its place."""
    place = f"{record.topic}/{record.partition}@{record.offset}"
    key = printable((record.key or b"").decode(errors="backslashreplace"))
    return Envelope(
        event_id=uuid_of(f"unreadable|{place}"),
        type="unreadable",
        source=place,
        key=key[:LONGEST_SHOWN] or place,
        time=utc_now(),
        data=record.value or b"",
    )


def _storable(envelope: Envelope) -> Envelope:
    """The same bytes under the same id, without whatever the database may have refused."""
    return envelope._replace(
        type=printable(envelope.type),
        source=printable(envelope.source),
        key=printable(envelope.key)[:LONGEST_SHOWN],
        time=utc_now(),
        revision=None,
        traceparent=None,
    )


def _place(arrival: inbox.Arrival) -> str:
    return f"{arrival.topic}/{arrival.partition}@{arrival.offset}"
