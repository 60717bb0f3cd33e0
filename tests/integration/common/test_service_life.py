"""A service's life: what is down is waited for, what is lost comes back, what stands still ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from libs.common.consumer import Consumer, StalledError
from libs.common.database import Database
from libs.common.errors import TemporaryFailure
from libs.common.jobs import Alarm
from libs.devstack.ports import free_port
from tests.integration.common.rig import SERVICE, Rig, counting_router, paid, step
from tests.world import until


async def test_a_lost_wake_up_connection_is_made_again(rig: Rig) -> None:
    """With rests of an hour only NOTIFY can wake the relay."""
    database = rig.database()

    async def is_listening() -> bool:
        return bool(await listeners(rig))

    async with rig.world.running(rig.app(poll_seconds=3600)):
        await until(is_listening, what="LISTEN")
        for _ in range(3):
            [before] = await listeners(rig)
            assert await rig.kill_backends(f"pid = {before}") == 1

            async def is_another(gone: int = before) -> bool:
                return [pid for pid in await listeners(rig) if pid != gone] != []

            await until(is_another, what="LISTEN again")
        async with database.begin() as uow:
            await uow.publish(step())
        await rig.until_relayed()


async def listeners(rig: Rig) -> list[int]:
    rows = await rig.world.rows(
        SERVICE,
        "select pid from pg_stat_activity where datname = current_database() and query ilike 'listen%'",
    )
    return [row["pid"] for row in rows]


async def test_a_service_starts_before_kafka_does(rig: Rig) -> None:
    port = free_port()
    app = rig.app(counting_router(), kafka_bootstrap_servers=f"127.0.0.1:{port}", kafka_timeout_seconds=1)
    async with rig.world.running(app) as http:
        answer = await http.get("/readyz")
        assert answer.status_code == 503
        assert "Kafka has not answered" in answer.json()["kafka"]
        assert (await http.get("/healthz")).status_code == 200
        await rig.world.tell(event := paid())
        async with forwarding(port, rig.settings.kafka_bootstrap_servers):
            await rig.until_handled([event])

            async def is_ready() -> bool:
                return (await http.get("/readyz")).status_code == 200

            await until(is_ready, what="readiness")


async def test_a_service_that_never_saw_kafka_stops_cleanly(rig: Rig) -> None:
    app = rig.app(counting_router(), kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")
    async with asyncio.timeout(15), rig.world.running(app):
        pass


async def test_a_service_that_is_stopped_while_it_starts_leaves_nothing_behind(rig: Rig) -> None:
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2):
        async with asyncio.timeout(20), rig.world.running(rig.app(counting_router())):
            await asyncio.sleep(delay)  # a moment of the start, not a wait for something

    async def is_alone() -> bool:
        rows = await rig.world.rows(
            SERVICE,
            "select from pg_stat_activity where datname = current_database() "
            f"and application_name = 'relance-{SERVICE}'",
        )
        return not rows

    await until(is_alone, what="every connection closed")
    mine = asyncio.current_task()
    left = [str(task.get_coro()) for task in asyncio.all_tasks() if task is not mine]
    frame = ("onsum", "oordinator", "keep_running")
    assert not [name for name in left if any(word in name for word in frame)]


@asynccontextmanager
async def forwarding(port: int, address: str) -> AsyncIterator[None]:
    """Somebody who listens on the port at last; the broker names its own address to who asks."""
    host, _, real = address.partition(",")[0].partition(":")

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, int(real))
        try:
            both = [copy(reader, far_writer), copy(far_reader, writer)]
            tasks = [asyncio.ensure_future(one) for one in both]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            far_writer.close()
            writer.close()

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()

    server = await asyncio.start_server(forward, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


@asynccontextmanager
async def consuming(rig: Rig, database: Database, **changed: object) -> AsyncIterator[Consumer]:
    settings = rig.settings.model_copy(update={"watchdog_seconds": 0.4, **changed})
    alarm = Alarm()
    consumer = Consumer(counting_router(), database, settings, alarm)
    await consumer.start()
    try:
        yield consumer
    finally:
        alarm.stop()
        await consumer.stop()


async def watch_until_stalled(consumer: Consumer) -> None:
    while True:
        await consumer.watch()
        await asyncio.sleep(0.05)


async def is_in_inbox(rig: Rig) -> bool:
    return bool(await rig.world.rows(SERVICE, "select from inbox"))


async def test_a_reader_that_stands_still_with_something_to_read_is_found(rig: Rig) -> None:
    async with consuming(rig, rig.database()) as consumer:
        await rig.world.tell(paid())
        await until(lambda: is_in_inbox(rig), what="the first event")
        inner = consumer._subscriber.consumer
        assert inner is not None
        inner.pause(*inner.assignment())
        for _ in range(3):  # nothing to read: standing still is right
            await consumer.watch()
        await rig.world.tell(paid())
        with pytest.raises(StalledError, match="1 messages wait"):
            await asyncio.wait_for(watch_until_stalled(consumer), timeout=20)


async def test_a_reader_that_waits_for_its_database_is_not_taken_for_a_still_one(rig: Rig) -> None:
    address = urlsplit(rig.settings.service_database_url(SERVICE))
    port = free_port()
    nowhere = address._replace(netloc=f"{address.username}:{address.password}@127.0.0.1:{port}").geturl()
    database = Database(nowhere, service=SERVICE, teller=SERVICE)
    try:
        async with consuming(rig, database, watchdog_seconds=0.2) as consumer:
            await rig.world.tell(event := paid())
            for _ in range(20):
                await consumer.watch()
                await asyncio.sleep(0.05)
            async with forwarding(port, f"{address.hostname}:{address.port}"):
                await until(lambda: is_in_inbox(rig), what="the event, once the database is there")
                row = await rig.inbox(event)
                assert row is not None
                assert row["status"] == "pending"
                await database.close()
    finally:
        await database.close()


async def test_a_reader_is_given_its_time_after_kafka_was_away(rig: Rig) -> None:
    """Nothing was read for long because nobody could: that alone must not end the process."""
    async with consuming(rig, rig.database(), watchdog_seconds=1) as consumer:
        await rig.world.tell(paid())
        await until(lambda: is_in_inbox(rig), what="the first event")
        inner, patient = consumer._subscriber.consumer, consumer._settings
        assert inner is not None
        inner.pause(*inner.assignment())
        await rig.world.tell(paid())
        consumer._settings = patient.model_copy(
            update={"kafka_timeout_seconds": 1e-6}
        )  # no answer is in time
        loop = asyncio.get_running_loop()
        back_at = loop.time() + 1.2
        while loop.time() < back_at:
            with pytest.raises(TemporaryFailure):
                await consumer.watch()
        consumer._settings = patient
        await consumer.watch()  # there is lag, and more than a second ago was the last batch
        with pytest.raises(StalledError):
            await asyncio.wait_for(watch_until_stalled(consumer), timeout=20)


async def test_a_url_with_the_options_of_libpq_is_understood(rig: Rig) -> None:
    url = rig.settings.service_database_url(SERVICE) + "?sslmode=prefer"
    database = Database(url, service=SERVICE, teller=SERVICE)
    try:
        async with database.begin() as uow:
            await uow.publish(step())
        listening = await database.connect()
        await listening.close()
    finally:
        await database.close()


async def test_a_wrong_password_is_refused(rig: Rig) -> None:
    parts = urlsplit(rig.settings.service_database_url(SERVICE))
    for password in ("wrong", "", str(parts.password)[:-1]):
        wrong = parts._replace(netloc=f"{parts.username}:{password}@{parts.hostname}:{parts.port}").geturl()
        with pytest.raises(asyncpg.PostgresError, match="password"):
            await asyncpg.connect(wrong)
