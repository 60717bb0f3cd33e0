"""Telling Kafka: one idempotent producer a process, acks=all, its answer waited for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from libs.common.envelope import Envelope
from libs.common.errors import TemporaryFailure
from libs.common.settings import CommonSettings

log = logging.getLogger("relance.producer")

Addressed = tuple[str, Envelope]
"""A topic without prefix, and what to append to it."""


SWEEP_SECONDS = 0.25


class Producer:
    """Appends envelopes to topics; a topic's name is given without the prefix of the settings."""

    def __init__(self, settings: CommonSettings, *, client_id: str) -> None:
        self._settings = settings
        self._timeout_seconds = settings.kafka_timeout_seconds
        self._prefix = settings.kafka_topic_prefix
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._unanswered: dict[asyncio.Future[object], float] = {}
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises KafkaError while no broker answers."""
        async with self._starting:
            if self._producer is not None:
                return
            producer = AIOKafkaProducer(
                bootstrap_servers=self._settings.kafka_bootstrap_servers,
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                max_batch_size=131_072,
                request_timeout_ms=int(self._timeout_seconds * 1000),
                retry_backoff_ms=50,
                metadata_max_age_ms=30_000,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._sweeper = asyncio.create_task(self._give_up_on_late_answers())
            self._producer = producer

    async def append(self, topic: str, envelope: Envelope) -> None:
        """One fact; returns when all in-sync replicas have it. Raises TemporaryFailure otherwise.

        After a time-out the fact may still arrive later: its id makes that harmless.
        """
        producer = self._producer
        if producer is None:
            raise TemporaryFailure("Kafka has not answered since this process started")
        late_at = time.monotonic() + self._timeout_seconds
        try:
            answer = await self._send(producer, topic, envelope)
            self._unanswered[answer] = late_at
            try:
                await answer
            finally:
                del self._unanswered[answer]
        except (KafkaError, TimeoutError, OSError) as error:
            raise TemporaryFailure(f"Kafka did not acknowledge: {type(error).__name__}: {error}") from error

    async def _give_up_on_late_answers(self) -> None:
        """One look at all appends in hand, four times a second: a timer for each cost the webhooks' door more
        than its signature check."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for answer, late_at in self._unanswered.items():
                if late_at > now:
                    break  # the later ones are in time too
                if not answer.done():
                    answer.set_exception(TimeoutError(f"no answer within {self._timeout_seconds:g} s"))

    async def append_all(self, facts: Sequence[Addressed]) -> None:
        """Many facts, in order per key. Raises TemporaryFailure if any was not acknowledged."""
        producer = self._producer
        if producer is None:
            raise TemporaryFailure("Kafka has not answered since this process started")
        try:
            async with asyncio.timeout(self._timeout_seconds * 5):
                sent = [await self._send(producer, topic, envelope) for topic, envelope in facts]
                await asyncio.gather(*sent)
        except (KafkaError, TimeoutError, OSError) as error:
            raise TemporaryFailure(f"Kafka did not acknowledge: {type(error).__name__}: {error}") from error

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, envelope: Envelope
    ) -> asyncio.Future[object]:
        # Its own waits, for metadata or for room, end by `request_timeout_ms`.
        sent: asyncio.Future[object] = await producer.send(
            self._prefix + topic,
            envelope.data,
            key=envelope.key.encode(),
            headers=envelope.headers(),
        )
        return sent

    async def check(self) -> None:
        """Raises unless the cluster answers now."""
        if self._producer is None:
            raise TemporaryFailure("Kafka has not answered since this process started")
        async with asyncio.timeout(self._timeout_seconds):
            await self._producer.client.fetch_all_metadata()

    async def stop(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()
        if self._sweeper is not None:
            self._sweeper.cancel()
