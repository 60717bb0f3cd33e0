"""A service's life: what is missing is named, what is down is waited for, what is lost comes back, and it
stops cleanly."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import httpx
import pytest

from libs.common.events.billing import InvoicePaid
from tests.fakes.service_process import ServiceProcess, service_process
from tests.fakes.wires import KafkaWire, Wire, laid
from tests.integration.common.groups import group_of
from tests.integration.common.rig import SERVICE, Rig, counting_router, paid, step
from tests.servers.shared import APP_SECRET
from tests.world import World, until


async def test_a_lost_wake_up_connection_is_made_again(rig: Rig) -> None:
    """With rests of an hour only NOTIFY can wake the relay."""
    database = rig.database()
    async with rig.world.running(rig.app(poll_seconds=3600)):
        [before] = await until(lambda: listeners(rig), what="LISTEN")
        for _ in range(3):
            assert await rig.kill_backends(f"pid = {before}") == 1

            async def others(gone: int = before) -> list[int]:
                return [pid for pid in await listeners(rig) if pid != gone]

            [before] = await until(others, what="LISTEN again")
            async with database.begin() as uow:
                await uow.publish(step())
            await rig.until_relayed()


async def listeners(rig: Rig) -> list[int]:
    rows = await rig.world.rows(
        SERVICE,
        "select pid from pg_stat_activity where datname = current_database() "
        "and state = 'idle' and query ilike 'listen%'",
    )
    return [row["pid"] for row in rows]


async def is_ready(http: httpx.AsyncClient) -> bool:
    return (await http.get("/readyz")).status_code == 200


async def test_a_service_that_starts_before_kafka_says_so_and_waits_for_it(rig: Rig) -> None:
    wire = KafkaWire(rig.settings.kafka_bootstrap_servers)
    app = rig.app(counting_router(), kafka_bootstrap_servers=wire.address, kafka_timeout_seconds=1)
    async with rig.world.running(app) as http:
        answer = await http.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["database"] == "ok"
        assert "Kafka has not answered" in answer.json()["kafka"]
        assert (await http.get("/healthz")).status_code == 200
        await rig.world.tell(event := paid())
        async with laid(wire):
            await until(lambda: is_ready(http), what="readiness")
            await rig.until_handled([event])
            await wire.cut()
            assert not await is_ready(http)
            await rig.world.tell(later := paid())
            await wire.lay()
            await rig.until_handled([later], seconds=40)
            await until(lambda: is_ready(http), what="readiness again")


async def test_a_service_that_starts_before_its_database_says_so_and_waits_for_it(rig: Rig) -> None:
    owner = urlsplit(rig.world.database_url)
    wire = Wire(f"{owner.hostname}:{owner.port}")
    away = owner._replace(netloc=f"{owner.netloc.rpartition('@')[0]}@{wire.address}").geturl()
    settings = rig.world.settings(type(rig.settings), database_url=away)
    app = rig.app(counting_router(), database_url=settings.database_url)
    async with rig.world.running(app) as http:
        await rig.world.tell(event := paid())

        async def is_kafka_there() -> bool:
            answer = await http.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["database"] != "ok"
            return bool(answer.json()["kafka"] == "ok")

        await until(is_kafka_there, what="Kafka, and no database")
        async with laid(wire):
            await until(lambda: is_ready(http), what="readiness")
            await rig.until_handled([event])
            await wire.cut()
            assert not await is_ready(http)
            await rig.world.tell(later := paid())
            await wire.lay()
            await rig.until_handled([later])


async def test_a_service_that_never_saw_kafka_stops_cleanly(rig: Rig) -> None:
    wire = KafkaWire(rig.settings.kafka_bootstrap_servers)
    async with (
        asyncio.timeout(15),
        rig.world.running(rig.app(counting_router(), kafka_bootstrap_servers=wire.address)),
    ):
        pass


async def test_a_service_that_is_stopped_while_it_starts_leaves_nothing_behind(rig: Rig) -> None:
    before = asyncio.all_tasks()
    for moment in range(12):
        async with asyncio.timeout(30), rig.world.running(rig.app(counting_router())):
            for _ in range(moment**3):  # turns of the loop: further into the start each time
                await asyncio.sleep(0)
        await until(lambda: is_alone(rig), seconds=2, what="no connection and no member left")
        assert of_kafka(before) == []


async def test_a_service_that_never_saw_its_topics_leaves_no_connection_behind(rig: Rig) -> None:
    """As it is when `relance topics --create` was forgotten: half of the reader is there."""
    before = asyncio.all_tasks()
    app = rig.app(counting_router(), kafka_topic_prefix=f"{rig.world.prefix}none.", shutdown_seconds=0.5)
    async with rig.world.running(app) as http:

        async def look() -> bool:
            answer = (await http.get("/readyz")).json()
            return bool(answer["kafka"] == "ok" and answer["started"] != "ok")

        await until(look, what="Kafka, and no topics")
    assert of_kafka(before) == []


async def is_alone(rig: Rig) -> bool:
    rows = await rig.world.rows(
        SERVICE,
        "select from pg_stat_activity where datname = current_database() "
        f"and application_name = 'relance-{SERVICE}'",
    )
    return not rows and (await group_of(rig))[1] == 0


def of_kafka(before: set[asyncio.Task[Any]]) -> list[str]:
    """What the Kafka library has been doing since, and still does."""
    left = [task for task in asyncio.all_tasks() - before if not task.done()]
    return [str(task) for task in left if "aiokafka" in str(task)]


@asynccontextmanager
async def holding(world: World, company: UUID) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Whoever handles a fact of the company has to wait."""
    connection = await asyncpg.connect(world.database_url)
    try:
        await connection.execute("begin")
        await connection.execute(
            "insert into notifications.streams (key, revision) values ($1, 0)", str(company)
        )
        yield connection
    finally:
        await connection.close()


async def is_somebody_waiting(world: World) -> bool:
    rows = await world.rows(
        "notifications",
        "select from pg_stat_activity where datname = current_database() "
        "and application_name = 'relance-notifications' and wait_event_type = 'Lock'",
    )
    return bool(rows)


def notifications(world: World, folder: Path) -> AbstractAsyncContextManager[ServiceProcess]:
    return service_process(
        world,
        "notifications",
        folder,
        mailer_dsn="smtp://127.0.0.1:1",
        mail_sender="relance@relance.test",
        login_url="https://app.relance.test/login",
        smtp_timeout_seconds=1,
        shutdown_seconds=20,
    )


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
async def test_a_clean_stop_finishes_what_is_in_hand_and_exits_0(
    stop_signal: signal.Signals, world: World, tmp_path: Path
) -> None:
    event = paid(customer_email="port@example.fr")
    async with notifications(world, tmp_path) as running, holding(world, event.company_id) as holder:
        await running.until_ready()
        await world.tell(event)
        await until(lambda: is_somebody_waiting(world), what="the event in hand")
        running.process.send_signal(stop_signal)
        await running.until_said("stopping")
        assert await statuses(world) == {event.event_id: "pending"}
        await holder.execute("rollback")
        assert await running.exit_code() == 0
        assert running.said("stopped") == ["stopped"]
        assert running.said("did not stop cleanly") == []
    assert await statuses(world) == {event.event_id: "done"}
    assert len(await world.rows("notifications", "select from deliveries")) == 1


async def statuses(world: World) -> dict[UUID, str]:
    rows = await world.rows(
        "notifications", "select event_id, status from inbox where type = $1", InvoicePaid.type
    )
    return {row["event_id"]: row["status"] for row in rows}


MISCONFIGURED: dict[str, dict[str, object]] = {
    "APP_SECRET": {"app_secret": None},
    "KAFKA_BOOTSTRAP_SERVERS": {"kafka_bootstrap_servers": None},
    "SCHEDULER_DATABASE_URL or DATABASE_URL": {"database_url": None},
    " DATABASE_URL begins with mysql://": {"database_url": "mysql://relance@127.0.0.1/relance"},
    "SCHEDULER_DATABASE_URL begins with http://": {"scheduler_database_url": "http://127.0.0.1/relance"},
    "APP_ENV": {"app_env": "production"},
    "POLL_SECONDS": {"poll_seconds": 0},
    "INTERNE_APIKEY": {"interne_apikey": "short"},
}


@pytest.mark.parametrize("name", MISCONFIGURED)
async def test_a_missing_or_wrong_setting_is_named_and_ends_it_with_78(
    name: str, world: World, tmp_path: Path
) -> None:
    async with service_process(world, "scheduler", tmp_path, **MISCONFIGURED[name]) as running:
        assert await running.exit_code() == 78
    said = running.output.read_text()
    assert name in said
    assert "Traceback" not in said
    assert APP_SECRET not in said
