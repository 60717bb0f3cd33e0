"""A reader that stands still ends its process, after what is in hand; one that only waits never does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import REGISTRY

from libs.common.consumer import Consumer
from libs.common.database import Database, Uow
from libs.common.errors import TemporaryFailure
from libs.common.events import Event
from libs.common.events.billing import InvoicePaid
from libs.common.events.directory import CompanyRegistered
from libs.common.jobs import Alarm
from libs.common.router import EventRouter
from libs.common.watchdog import LOOKS, StalledError
from tests.fakes.service_process import ServiceProcess, service_process
from tests.fakes.wires import FETCH, LIST_OFFSETS, KafkaWire, Wire, laid
from tests.integration.common.groups import dividing, group, until_group
from tests.integration.common.rig import NOW, SERVICE, Rig, add_effect, counting_router, paid
from tests.world import World, until


async def until_asked(wire: KafkaWire, kind: int, times: int) -> None:
    """So many more times than until now."""
    before = wire.asked[kind]

    async def look() -> bool:
        return wire.asked[kind] >= before + times

    await until(look, seconds=40, what=f"{times} requests of the kind {kind}")


def registered() -> CompanyRegistered:
    return CompanyRegistered(
        company_id=uuid4(), name="Café du Port", email="port@example.fr", registered_at=NOW
    )


async def companies(world: World) -> int:
    [row] = await world.rows("scheduler", "select count(*) as n from companies")
    return int(row["n"])


@asynccontextmanager
async def scheduler(world: World, wire: KafkaWire, folder: Path) -> AsyncIterator[ServiceProcess]:
    """Ready, and with its first fact read."""
    async with service_process(
        world,
        "scheduler",
        folder,
        kafka_bootstrap_servers=wire.address,
        watchdog_seconds=2,
        kafka_session_seconds=4,
    ) as running:
        await running.until_ready()
        await world.tell(registered())

        async def look() -> bool:
            return await companies(world) == 1

        await until(look, what="the first fact read")
        yield running


async def test_a_process_whose_reader_stands_still_ends_with_70(world: World, tmp_path: Path) -> None:
    wire = KafkaWire(world.kafka_bootstrap_servers)
    async with laid(wire), scheduler(world, wire, tmp_path) as running:
        wire.is_silent = True
        await until_asked(wire, FETCH, 3)
        # Nothing is read, and there is nothing to read: it goes on living.
        await until_asked(wire, LIST_OFFSETS, 2 * LOOKS)
        assert running.process.returncode is None
        await world.tell(registered())
        assert await running.exit_code() == 70
        assert "1 messages wait" in await running.until_said("this process ends")
    assert await companies(world) == 1
    async with service_process(world, "scheduler", tmp_path):

        async def look() -> bool:
            return await companies(world) == 2

        await until(look, what="the fact read by the next process")


async def test_a_process_that_was_suspended_is_given_its_time(world: World, tmp_path: Path) -> None:
    """As by a paused virtual machine: the clock went on, and nobody could read."""
    wire = KafkaWire(world.kafka_bootstrap_servers)
    async with laid(wire), scheduler(world, wire, tmp_path) as running:
        rig_group = f"{world.prefix}scheduler"
        running.process.send_signal(signal.SIGSTOP)
        for _ in range(3):
            await world.tell(registered())
        # Kafka gave it up: longer ago than the watchdog's time.
        await until(lambda: is_empty(world, rig_group), seconds=40, what="the group empty")
        running.process.send_signal(signal.SIGCONT)

        async def look() -> bool:
            assert running.process.returncode is None, running.lines()[-3:]
            return await companies(world) == 4

        await until(look, seconds=40, what="the facts read")
        await until_asked(wire, LIST_OFFSETS, LOOKS)
        assert running.process.returncode is None


async def is_empty(world: World, name: str) -> bool:
    return await group(world.kafka_bootstrap_servers, name) == ("Empty", 0)


async def test_what_is_in_hand_is_finished_before_the_process_ends(rig: Rig) -> None:
    """Or a mail that is being sent would become `unknown`."""
    begun, may_end = asyncio.Event(), asyncio.Event()
    router = EventRouter(SERVICE)

    @router.on(InvoicePaid)
    async def work_slowly(event: InvoicePaid, uow: Uow) -> None:
        begun.set()
        await may_end.wait()
        await add_effect(uow, event)

    wire = KafkaWire(rig.settings.kafka_bootstrap_servers)
    app = rig.app(router, kafka_bootstrap_servers=wire.address, watchdog_seconds=1.5, inbox_workers=1)
    async with laid(wire), rig.world.running(app):
        await rig.world.tell(in_hand := paid())
        async with asyncio.timeout(20):
            await begun.wait()
        wire.is_silent = True
        await until_asked(wire, FETCH, 3)
        await rig.world.tell(paid())
        # Who is about to end makes no new turns, and asks Kafka no more.
        await until_quiet(wire)
        assert rig.ends == []
        may_end.set()
        await until(lambda: done(rig.ends), what="the end")
        assert await rig.effect_ids() == [in_hand.event_id]
    assert rig.ends == [70]
    rig.ends.clear()


async def done(ends: list[int]) -> bool:
    return bool(ends)


async def until_quiet(wire: KafkaWire) -> None:
    """No look at the lag while Kafka was asked for messages ten times."""

    async def look() -> bool:
        before = wire.asked[LIST_OFFSETS]
        await until_asked(wire, FETCH, 15)
        return wire.asked[LIST_OFFSETS] == before

    await until(look, what="no more looks of the watchdog")


@asynccontextmanager
async def consuming(
    rig: Rig, *, database: Database | None = None, **changed: object
) -> AsyncIterator[Consumer]:
    settings = rig.settings.model_copy(update={"watchdog_seconds": 0.4, **changed})
    alarm = Alarm()
    consumer = Consumer(counting_router(), database or rig.database(), settings, alarm)
    await consumer.start()
    try:
        yield consumer
    finally:
        alarm.stop()
        await consumer.stop()


async def are_read(rig: Rig, events: Sequence[Event]) -> bool:
    rows = await rig.world.rows(SERVICE, "select event_id from inbox")
    return {event.event_id for event in events} <= {row["event_id"] for row in rows}


async def test_a_group_that_takes_long_to_divide_its_partitions_does_not_stand_still(rig: Rig) -> None:
    """A new process would only have to wait for the same slow member."""
    events: list[InvoicePaid] = []
    async with consuming(rig, kafka_timeout_seconds=1) as consumer:
        await until_group(rig, "Stable", 1)
        async with dividing(rig, others=1):

            async def tell_and_look() -> int:
                events.append(event := paid())
                await rig.world.tell(event)
                return await consumer.watch()

            for _ in range(3):
                with pytest.raises(TemporaryFailure, match="is dividing its partitions"):
                    await until(tell_and_look, what="a word of the watchdog")
        # Alone again, it reads what waited.
        await until(lambda: are_read(rig, events), seconds=40, what="the events")


async def test_a_reader_that_stands_still_is_found_once_there_is_something_to_read(rig: Rig) -> None:
    wire = KafkaWire(rig.settings.kafka_bootstrap_servers)
    async with laid(wire), consuming(rig, kafka_bootstrap_servers=wire.address) as consumer:
        wire.is_silent = True
        await until_asked(wire, FETCH, 3)
        for _ in range(2 * LOOKS):  # nothing to read: standing still is right
            await consumer.watch()
        await rig.world.tell(paid())
        with pytest.raises(StalledError, match="1 messages wait"):
            await until(consumer.watch, what="the watchdog's bark")
        wire.is_silent = False


async def test_a_reader_that_waits_for_its_database_does_not_stand_still(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    address = urlsplit(rig.settings.service_database_url(SERVICE))
    wire = Wire(f"{address.hostname}:{address.port}")
    away = address._replace(netloc=f"{address.username}:{address.password}@{wire.address}").geturl()
    database = Database(away, service=SERVICE, teller=SERVICE)
    try:
        async with consuming(rig, database=database, watchdog_seconds=1) as consumer:
            await rig.world.tell(first := paid())

            async def has_tried_for_long() -> bool:
                await consumer.watch()
                return sum("cannot store" in message for message in caplog.messages) > 4

            await until(has_tried_for_long, what="several tries")
            await rig.world.tell(second := paid())
            await consumer.watch()
            async with laid(wire):
                await until(lambda: are_read(rig, [first, second]), what="the events")
                await database.close()
    finally:
        await database.close()


async def test_a_reader_whose_kafka_is_away_does_not_stand_still(rig: Rig) -> None:
    wire = KafkaWire(rig.settings.kafka_bootstrap_servers)
    near = rig.settings.model_copy(update={"kafka_bootstrap_servers": wire.address})
    rig.settings = near.model_copy(update={"kafka_timeout_seconds": 0.3})
    async with laid(wire), consuming(rig, watchdog_seconds=2) as consumer:
        await rig.world.tell(first := paid())
        await until(lambda: are_read(rig, [first]), what="the first event")
        await wire.cut()
        await rig.world.tell(second := paid())
        for _ in range(10):  # each waits for its answer in vain
            with pytest.raises(TemporaryFailure):
                await consumer.watch()
        await wire.lay()
        # The last batch was longer ago than the watchdog's time; what Kafka cannot tell yet is no harm.
        with suppress(TemporaryFailure):
            await consumer.watch()
        await until(lambda: are_read(rig, [second]), seconds=40, what="the second event")


async def test_markers_of_transactions_are_nothing_to_read(rig: Rig) -> None:
    """They take places in a partition, the last ones too, and nobody is given them."""
    topic = f"{rig.world.prefix}billing.events"
    producer = AIOKafkaProducer(
        bootstrap_servers=rig.settings.kafka_bootstrap_servers, transactional_id=topic
    )
    async with consuming(rig, watchdog_seconds=20) as consumer:
        await producer.start()
        try:
            for end in (producer.commit_transaction, producer.abort_transaction):
                await producer.begin_transaction()
                await producer.send_and_wait(topic, b"x", key=b"k", partition=0)
                await end()
        finally:
            await producer.stop()

        async def is_at_the_end() -> bool:
            await consumer.watch()
            read = await rig.world.rows(SERVICE, "select from inbox")
            return len(read) == 2 and REGISTRY.get_sample_value(*LAG) == 0

        await until(is_at_the_end, what="no lag")


LAG = ("relance_consumer_lag", {"service": SERVICE})
