"""How far the scheduler has read: what is due at T is decided when all that was told before T is known.

Asked of Kafka for the whole consumer group: of several schedulers, each reads only some partitions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from libs.common.errors import TemporaryFailure
from libs.common.router import EventRouter
from libs.common.settings import CommonSettings

log = logging.getLogger("relance.scheduler")

ALERT_AFTER = timedelta(minutes=15)
LOOK_AGAIN_SECONDS = 0.05
# The reader's own commit trails what it stored by a moment: that is no lag worth a warning.
PATIENCE_SECONDS = 2.0

Offsets = Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Mark:
    """The ends of all topics at a moment."""

    at: datetime
    ends: Offsets


class Reading:
    """Keeps one mark until the group has read up to it, however many turns that takes."""

    def __init__(self, router: EventRouter, settings: CommonSettings) -> None:
        prefix = settings.kafka_topic_prefix
        self._group = prefix + router.service
        self._topics = [prefix + topic for topic in router.topics()]
        self._settings = settings
        self._mark: Mark | None = None

    async def read_up_to(self, now: datetime) -> datetime:
        """The moment T up to which all that was told has been read: `now`, or that of an earlier failed call.

        Raises TemporaryFailure while something told before T is not read, or Kafka does not answer.
        """
        try:
            async with asyncio.timeout(self._settings.kafka_timeout_seconds + PATIENCE_SECONDS):
                unread = await self._wait(now)
        except (KafkaError, TimeoutError, OSError) as error:
            raise TemporaryFailure(f"Kafka does not say how far was read: {error!r}") from error
        mark = self._mark
        assert mark is not None
        if unread:
            self._say_late(mark, now, unread)
            raise TemporaryFailure(f"{unread} messages told before {mark.at.isoformat()} are not read yet")
        self._mark = None
        return mark.at

    def _say_late(self, mark: Mark, now: datetime, unread: int) -> None:
        if now - mark.at >= ALERT_AFTER:
            log.error(
                "nothing is told as due since %s: %s messages told before it are not read",
                mark.at.isoformat(),
                unread,
            )

    async def _wait(self, now: datetime) -> int:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka_bootstrap_servers)
        await admin.start()
        try:
            if self._mark is None:
                self._mark = Mark(now, await self._unread_ends(admin))
            deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
            while unread := count_unread(self._mark.ends, await self._committed(admin)):
                if asyncio.get_running_loop().time() > deadline:
                    return unread
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
            return 0
        finally:
            await admin.close()

    async def _committed(self, admin: AIOKafkaAdminClient) -> Offsets:
        try:
            offsets = await admin.list_consumer_group_offsets(self._group)
        except GroupCoordinatorNotAvailableError:
            # A cluster in which no group ever noted anything; asking makes it get ready.
            return {}
        return {partition: found.offset for partition, found in offsets.items()}

    async def _unread_ends(self, admin: AIOKafkaAdminClient) -> Offsets:
        """The ends of the partitions that hold anything: the group commits nothing for an empty one."""
        partitions = _partitions(await admin.describe_topics(self._topics))
        consumer = AIOKafkaConsumer(bootstrap_servers=self._settings.kafka_bootstrap_servers)
        await consumer.start()
        try:
            ends = await consumer.end_offsets(partitions)
            beginnings = await consumer.beginning_offsets(partitions)
        finally:
            await consumer.stop()
        return {partition: end for partition, end in ends.items() if end > beginnings[partition]}


def _partitions(topics: Sequence[Mapping[str, object]]) -> list[TopicPartition]:
    found: list[TopicPartition] = []
    for topic in topics:
        partitions = topic["partitions"]
        assert isinstance(partitions, list)
        if not partitions:
            raise TemporaryFailure(f"the topic {topic['topic']} is not there: `relance topics --create`")
        found.extend(TopicPartition(topic["topic"], each["partition"]) for each in partitions)
    return found


def count_unread(ends: Offsets, committed: Offsets) -> int:
    """Messages between what the group noted as read and the ends; where it noted nothing, all of them."""
    return sum(max(0, end - max(0, committed.get(partition, 0))) for partition, end in ends.items())
