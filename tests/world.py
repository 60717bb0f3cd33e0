"""A world of a test's own on the shared servers: a cloned database, prefixed topics, and what is in them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import asyncpg
import httpx
import uvicorn
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from fastapi import FastAPI

from libs.common.envelope import Envelope
from libs.common.events import Event
from libs.common.producer import Producer
from libs.common.settings import CommonSettings
from libs.common.telemetry import new_traceparent
from libs.common.topics import create_topics, topic_of
from tests.servers import Servers
from tests.servers.shared import APP_SECRET, TEMPLATE

S = TypeVar("S", bound=CommonSettings)
E = TypeVar("E", bound=Event)
T = TypeVar("T")

# Short, so that tests see back-offs and leases pass.
QUICK: Mapping[str, object] = {
    "app_env": "test",
    "app_secret": APP_SECRET,
    "kafka_topic_partitions": 2,
    "kafka_replication_factor": 1,
    "kafka_min_insync_replicas": 1,
    "kafka_session_seconds": 3,
    "poll_seconds": 0.2,
    "lease_seconds": 3,
    "retry_first_seconds": 0.05,
    "retry_longest_seconds": 1,
    "retry_attempts": 4,
    "shutdown_seconds": 5,
    "database_pool_size": 6,
}


class World:
    """Services under test run in this process through their real lifespan."""

    def __init__(self, servers: Servers, name: str) -> None:
        self.name = name
        self.prefix = f"{name}."
        self.database_url = servers.url_of(name)
        self.kafka_bootstrap_servers = servers.kafka_bootstrap_servers
        self._producer = Producer(self.settings(CommonSettings), client_id="test")
        self._pools: dict[str, asyncpg.Pool[asyncpg.Record]] = {}

    @classmethod
    @asynccontextmanager
    async def fresh(cls, servers: Servers) -> AsyncIterator[World]:
        name = f"t{uuid.uuid4().hex[:12]}"
        await _execute(servers.database_url, f'create database "{name}" template "{TEMPLATE}"')
        world = cls(servers, name)
        topics = await create_topics(world.settings(CommonSettings))
        await world._see(topics)
        try:
            yield world
        finally:
            await world._close()
            await world._delete(topics)
            await _execute(servers.database_url, f'drop database "{name}" with (force)')

    async def _see(self, topics: Sequence[str]) -> None:
        """Until the broker shows what its controller has made; a moment later on a machine that is busy."""
        async with self._admin() as admin:

            async def are_there() -> bool:
                return set(topics) <= set(await admin.list_topics())

            await until(are_there, what="the topics")

    async def _delete(self, topics: Sequence[str]) -> None:
        """Thousands of topics that nobody needs any more slow a broker down."""
        async with self._admin() as admin:
            await admin.delete_topics(list(topics))

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka_bootstrap_servers)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    def settings(self, settings_class: type[S], **overrides: object) -> S:
        """Settings for this world; overrides by field name."""
        values = {
            **QUICK,
            "database_url": self.database_url,
            "kafka_bootstrap_servers": self.kafka_bootstrap_servers,
            "kafka_topic_prefix": self.prefix,
            **overrides,
        }
        return settings_class(**values)  # type: ignore[arg-type]  # as from the environment

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
        """The service, from its start to its clean stop, and a client to its HTTP door."""
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client,
        ):
            yield client

    @asynccontextmanager
    async def serving(self, app: FastAPI, port: int) -> AsyncIterator[httpx.AsyncClient]:
        """The same behind a real socket, for others to call."""
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        with server.capture_signals():
            serving = asyncio.create_task(server._serve())
        await until(lambda: _answer(server.started or serving.done()), what="the service's socket")
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                yield client
        finally:
            server.should_exit = True
            await serving

    async def tell(
        self, event: Event, *, copies: int = 1, revision: int = 1, teller: str | None = None
    ) -> Envelope:
        """Append a fact to its teller's topic, as its teller would; what any service may tell needs one."""
        [envelope, *_] = await self.tell_all([event] * copies, revision=revision, teller=teller)
        return envelope

    async def tell_caused(self, event: Event, causation_id: uuid.UUID) -> None:
        """Append a fact that another one caused."""
        await self.tell_all([event], causation_id=causation_id)

    async def tell_all(
        self,
        events: Sequence[Event],
        *,
        revision: int = 1,
        teller: str | None = None,
        causation_id: uuid.UUID | None = None,
    ) -> list[Envelope]:
        """Append many facts at once, in order for each key."""
        envelopes = [
            Envelope(
                event_id=event.event_id,
                type=event.type,
                source=f"/relance/{teller or event.teller()}",
                key=event.key,
                time=datetime.now(UTC),
                data=event.to_bytes(),
                revision=revision,
                traceparent=new_traceparent(),
                causation_id=causation_id,
            )
            for event in events
        ]
        topics = [topic_of(teller or event.teller()) for event in events]
        await self._producer.start()
        await self._producer.append_all(list(zip(topics, envelopes, strict=True)))
        return envelopes

    async def tell_raw(
        self, topic: str, *, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        """Append anything at all, well-formed or not."""
        await self._producer.start()
        producer = self._producer._producer
        assert producer is not None
        await producer.send_and_wait(self.prefix + topic, value, key=key, headers=headers)

    async def envelopes(self, teller: str) -> list[Envelope]:
        """All that was told on a teller's topic so far, in order per key."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka_bootstrap_servers)
        await consumer.start()
        try:
            topic = self.prefix + topic_of(teller)
            await consumer._client.force_metadata_update()
            partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
            partitions = partitions or [TopicPartition(topic, p) for p in range(2)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            found: list[Envelope] = []
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found.extend(Envelope.read(r.key, r.value, r.headers) for r in records)
            return found
        finally:
            await consumer.stop()

    async def told(self, event_class: type[E]) -> list[E]:
        """All facts of a class told so far, repeated tellings included."""
        envelopes = await self.envelopes(event_class.teller())
        return [event_class.from_bytes(e.data) for e in envelopes if e.type == event_class.type]

    async def rows(self, service: str, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows seen by the owner in a service's schema; parameters are $1, $2…"""
        pool = self._pools.get(service)
        if pool is None:
            options = {"search_path": f"{service},public"}
            pool = await asyncpg.create_pool(
                self.database_url, min_size=1, max_size=2, server_settings=options
            )
            self._pools[service] = pool
        return [dict(row) for row in await pool.fetch(sql, *args)]

    async def _close(self) -> None:
        await self._producer.stop()
        for pool in self._pools.values():
            await pool.close()


async def until(
    look: Callable[[], Awaitable[T]], *, seconds: float = 20, what: str = "what was waited for"
) -> T:
    """The first truthy answer; fails, saying what it saw last, when the deadline passes."""
    seen: T | None = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                seen = await look()
                if seen:
                    return seen
                await asyncio.sleep(0.03)
    except TimeoutError:
        raise AssertionError(f"{what} did not come within {seconds} s; last seen: {seen!r}") from None


async def _answer(value: T) -> T:
    return value


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
