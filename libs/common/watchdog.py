"""Does the reader stand still although there is something to read? Then only a new process helps.

To end a process that merely waits does harm and cures nothing. So stillness is what was seen, look after
look, and Kafka itself is asked before it counts.
"""

from __future__ import annotations

import asyncio
import time

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code

from libs.common.errors import TemporaryFailure
from libs.common.jobs import brief
from libs.common.settings import CommonSettings

LOOKS = 4
"""Looks at the reader within `watchdog_seconds`."""

_DIVIDING = ("PreparingRebalance", "CompletingRebalance")

Places = dict[TopicPartition, int | None]
"""What is read next of each partition; None while that is not known."""


class StalledError(Exception):
    """The consumer stands still although there is something to read; only a new process helps."""


class Watchdog:
    """Adds up for how long a consumer was seen at the same places with something to read."""

    def __init__(self, settings: CommonSettings, *, group: str) -> None:
        self._settings = settings
        self._group = group
        self._places: Places = {}
        self._still_seconds = 0.0
        self._looked_at = time.monotonic()

    def note_progress(self) -> None:
        self._still_seconds = 0.0
        self._looked_at = time.monotonic()

    async def look(self, consumer: AIOKafkaConsumer) -> int:
        """Answers how many messages wait to be read.

        Raises StalledError when it stands still, TemporaryFailure when Kafka cannot tell.
        """
        try:
            ends, places = await self._ask(consumer)
        except Exception as error:
            return await self._look_elsewhere(error)
        self._add_up(ends, places)
        if self._is_still():
            await self._ensure_that_kafka_agrees()
        lag = sum(ends[tp] - place for tp, place in places.items() if place is not None)
        if self._is_still():  # still: a batch may have come while Kafka was asked
            raise StalledError(f"{lag} messages wait and none was read for {self._still_seconds:.0f} s")
        return lag

    async def _look_elsewhere(self, error: Exception) -> int:
        """The consumer's own client gets no answer. Where Kafka answers another one, the client is broken,
        and for good: seen after a broker had been killed."""
        self._still_seconds += self._seen_seconds()
        await self._ensure_that_kafka_agrees()
        if self._is_still():
            raise StalledError(
                f"for {self._still_seconds:.0f} s the reader has had no answer from Kafka, "
                f"which answers others: {brief(error)}"
            )
        raise TemporaryFailure(f"cannot tell whether the consumer reads: {brief(error)}") from error

    async def _ensure_that_kafka_agrees(self) -> None:
        try:
            await self._ensure_group_at_rest()
        except Exception as error:
            # Nobody stands still who has nobody to read from.
            self.note_progress()
            raise TemporaryFailure(f"cannot tell whether the consumer reads: {brief(error)}") from error

    def _is_still(self) -> bool:
        return self._still_seconds > self._settings.watchdog_seconds

    def _add_up(self, ends: dict[TopicPartition, int], places: Places) -> None:
        seen_seconds = self._seen_seconds()
        is_behind = any(place is None or place < ends[tp] for tp, place in places.items() if ends[tp])
        is_same = places == self._places
        self._places = places
        self._still_seconds = self._still_seconds + seen_seconds if is_behind and is_same else 0.0

    def _seen_seconds(self) -> float:
        """A look counts for what lies between two of them. A process that was itself held up, or suspended,
        saw nothing meanwhile."""
        now = time.monotonic()
        seen_seconds = min(now - self._looked_at, 2 * self._settings.watchdog_seconds / LOOKS)
        self._looked_at = now
        return seen_seconds

    async def _ask(self, consumer: AIOKafkaConsumer) -> tuple[dict[TopicPartition, int], Places]:
        partitions = consumer.assignment()
        if not partitions:
            return {}, {}
        async with asyncio.timeout(self._settings.kafka_timeout_seconds):
            ends = await consumer.end_offsets(partitions)
        places = await asyncio.gather(*(self._place(consumer, tp) for tp in ends))
        return ends, dict(zip(ends, places, strict=True))

    async def _place(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
        try:
            async with asyncio.timeout(self._settings.kafka_timeout_seconds):
                return int(await consumer.position(partition))
        except (TimeoutError, KafkaError):
            return None

    async def _ensure_group_at_rest(self) -> None:
        """While the group divides its partitions anew nobody reads, and a new process would only wait too."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka_bootstrap_servers)
        async with asyncio.timeout(self._settings.kafka_timeout_seconds):
            try:
                await admin.start()
                [answer] = await admin.describe_consumer_groups([self._group])
            finally:
                await admin.close()
        error_code, _, state, *_ = answer.groups[0]
        if error_code:
            raise for_code(error_code)
        if state in _DIVIDING:
            raise TemporaryFailure(f"the group {self._group} is dividing its partitions: {state}")
