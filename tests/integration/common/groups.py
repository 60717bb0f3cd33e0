"""The group of the service as Kafka sees it, and a member of it that makes the others wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from tests.integration.common.rig import SERVICE, Rig
from tests.world import until

LONGEST_REBALANCE_SECONDS = 30


async def group(bootstrap_servers: str, name: str) -> tuple[str, int]:
    """Its state in Kafka's words, and how many members it has."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        [answer] = await admin.describe_consumer_groups([name])
    except GroupCoordinatorNotAvailableError:  # the first group of all waits for its coordinator
        return "", 0
    finally:
        await admin.close()
    return answer.groups[0][2], len(answer.groups[0][5])


async def group_of(rig: Rig) -> tuple[str, int]:
    return await group(rig.settings.kafka_bootstrap_servers, rig.world.prefix + SERVICE)


async def until_group(rig: Rig, state: str, members: int, *, seconds: float = 20) -> None:
    async def look() -> bool:
        return await group_of(rig) == (state, members)

    await until(look, seconds=seconds, what=f"the group {state} with {members} members")


class SlowMember(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Gives its partitions back when it is let go, not before: until then nobody of the group may read."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if revoked:
            await self.may_go_on.wait()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        pass


@asynccontextmanager
async def dividing(rig: Rig, *, others: int) -> AsyncIterator[None]:
    """While a newcomer waits for a slow member, and everybody with it; `others` are in the group already."""
    slow = SlowMember()
    consumers = [_member(rig, slow), _member(rig)]
    starts: list[asyncio.Future[None]] = []
    try:
        for number, consumer in enumerate(consumers):
            starts.append(asyncio.ensure_future(consumer.start()))
            state = "Stable" if number == 0 else "PreparingRebalance"
            await until_group(rig, state, others + number + 1)
        yield
    finally:
        slow.may_go_on.set()
        await asyncio.gather(*starts)
        for consumer in consumers:
            await consumer.stop()


def _member(rig: Rig, listener: ConsumerRebalanceListener | None = None) -> AIOKafkaConsumer:
    """Another one of the group, which reads nothing."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=rig.settings.kafka_bootstrap_servers,
        group_id=rig.world.prefix + SERVICE,
        enable_auto_commit=False,
        heartbeat_interval_ms=300,
        rebalance_timeout_ms=LONGEST_REBALANCE_SECONDS * 1000,
    )
    consumer.subscribe([rig.world.prefix + "billing.events"], listener=listener)
    return consumer
