"""Telling Kafka: one idempotent producer a process, acks=all, its answer waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from libs.common.envelope import Envelope
from libs.common.errors import TemporaryFailure
from libs.common.settings import CommonSettings

log = logging.getLogger("relance.producer")

Addressed = tuple[str, Envelope]
"""A topic without prefix, and what to append to it."""


class Producer:
    """Appends envelopes to topics; a topic's name is given without the prefix of the settings."""

    def __init__(self, settings: CommonSettings, *, client_id: str) -> None:
        self._settings = settings
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

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
                request_timeout_ms=int(self._settings.kafka_timeout_seconds * 1000),
                retry_backoff_ms=50,
                metadata_max_age_ms=30_000,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer

    async def append(self, topic: str, envelope: Envelope) -> None:
        """One fact; returns when all in-sync replicas have it. Raises TemporaryFailure otherwise.

        After a time-out the fact may still arrive later: its id makes that harmless.
        """
        producer = self._producer
        if producer is None:
            raise TemporaryFailure("Kafka has not answered since this process started")
        try:
            async with asyncio.timeout(self._settings.kafka_timeout_seconds):
                await (await self._send(producer, topic, envelope))
        except (KafkaError, TimeoutError, OSError) as error:
            raise TemporaryFailure(f"Kafka did not acknowledge: {type(error).__name__}: {error}") from error

    async def append_all(self, facts: Sequence[Addressed]) -> None:
        """Many facts, in order per key. Raises TemporaryFailure if any was not acknowledged."""
        producer = self._producer
        if producer is None:
            raise TemporaryFailure("Kafka has not answered since this process started")
        try:
            async with asyncio.timeout(self._settings.kafka_timeout_seconds * 5):
                sent = [await self._send(producer, topic, envelope) for topic, envelope in facts]
                await asyncio.gather(*sent)
        except (KafkaError, TimeoutError, OSError) as error:
            raise TemporaryFailure(f"Kafka did not acknowledge: {type(error).__name__}: {error}") from error

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, envelope: Envelope
    ) -> asyncio.Future[object]:
        sent: asyncio.Future[object] = await producer.send(
            self._settings.kafka_topic_prefix + topic,
            envelope.data,
            key=envelope.key.encode(),
            headers=envelope.headers(),
        )
        return sent

    async def check(self) -> None:
        """Raises unless the cluster answers now."""
        if self._producer is None:
            raise TemporaryFailure("Kafka has not answered since this process started")
        async with asyncio.timeout(self._settings.kafka_timeout_seconds):
            await self._producer.client.fetch_all_metadata()

    async def stop(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()
