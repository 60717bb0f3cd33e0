"""The embedded PostgreSQL, as a developer's machine treats it: killed, started twice, left behind."""

import asyncio
import contextlib
import os
import signal
import socket
import stat
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from libs.devstack.errors import DevstackFailure
from libs.devstack.ports import free_port
from libs.devstack.postgres import EmbeddedPostgres, stop_leftover
from tests.integration.devstack.leftovers import start_and_die


def a_postgres(data_dir: Path, *, durable: bool = False) -> EmbeddedPostgres:
    return EmbeddedPostgres(data_dir, port=free_port(), durable=durable)


@contextlib.contextmanager
def running(postgres: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop()


@contextlib.asynccontextmanager
async def connected(postgres: EmbeddedPostgres) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(postgres.url)
    try:
        yield connection
    finally:
        connection.terminate()


async def is_busy(postgres: EmbeddedPostgres) -> None:
    """Returns once a client's statement is at work."""
    at_work = "select count(*) from pg_stat_activity where state = 'active' and query like 'do %'"
    async with connected(postgres) as connection, asyncio.timeout(20):
        while not await connection.fetchval(at_work):
            await asyncio.sleep(0.05)


async def test_what_was_committed_survives_kill_9_and_another_port(data_dir: Path) -> None:
    with running(a_postgres(data_dir)) as postgres:
        async with connected(postgres) as connection:
            await connection.execute("create table facts (said text); insert into facts values ('told')")
        postgres.kill()
        assert not postgres.is_running()
        assert postgres.pid is None
    with running(a_postgres(data_dir)) as again:
        async with connected(again) as connection:
            assert await connection.fetchval("select said from facts") == "told"


async def test_a_child_that_goes_on_working_after_kill_9_does_not_stop_a_restart(data_dir: Path) -> None:
    with running(a_postgres(data_dir)) as postgres:
        async with connected(postgres) as connection:
            busy = asyncio.create_task(connection.execute("do $$ begin loop end loop; end $$"))
            await is_busy(postgres)
            postgres.kill()
            await asyncio.to_thread(postgres.start)
            assert postgres.is_running()
            with pytest.raises((OSError, asyncpg.PostgresError)):
                await busy


async def test_french_text_is_searched_as_people_write_it(data_dir: Path) -> None:
    with running(a_postgres(data_dir)) as postgres:
        async with connected(postgres) as connection:
            await connection.execute("create extension pg_trgm; create extension unaccent")
            assert await connection.fetchval("select lower('ÉTÉ')") == "été"
            assert await connection.fetchval("select unaccent('Téléphonie Bœuf')") == "Telephonie Boeuf"
            assert await connection.fetchval("select show_trgm('été') = show_trgm('t')") is False


async def test_only_the_password_opens_the_door(data_dir: Path) -> None:
    with running(a_postgres(data_dir)) as postgres:
        assert stat.S_IMODE((data_dir / "password").stat().st_mode) == 0o600
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(host="127.0.0.1", port=postgres.port, user="relance", password="wrong")


@pytest.mark.parametrize(("durable", "fsync"), [(True, "on"), (False, "off")])
async def test_only_tests_give_up_durability(data_dir: Path, durable: bool, fsync: str) -> None:
    with running(a_postgres(data_dir, durable=durable)) as postgres:
        async with connected(postgres) as connection:
            assert await connection.fetchval("show fsync") == fsync
            assert await connection.fetchval("show full_page_writes") == fsync
            assert await connection.fetchval("show max_connections") == "300"


async def test_a_stop_does_not_wait_for_clients(data_dir: Path) -> None:
    with a_postgres(data_dir) as postgres:
        pid = postgres.pid
        assert pid is not None
        async with connected(postgres):
            await asyncio.to_thread(postgres.stop)
        assert not psutil.pid_exists(pid)
        assert not (data_dir / "cluster" / "postmaster.pid").exists()


def test_a_second_start_on_the_same_folder_is_refused_and_harms_nothing(data_dir: Path) -> None:
    with running(a_postgres(data_dir)) as first:
        with pytest.raises(DevstackFailure, match=f"tourne déjà sur .*processus {first.pid}"):
            a_postgres(data_dir).start()
        assert first.is_running()


def test_a_taken_port_is_refused_before_anything_starts(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        taken = listener.getsockname()[1]
        with pytest.raises(DevstackFailure, match=f"le port {taken}"):
            EmbeddedPostgres(data_dir, port=taken).start()
    assert not (data_dir / "cluster").exists()


def test_a_stale_pid_file_does_not_stop_a_start(data_dir: Path) -> None:
    with running(a_postgres(data_dir)) as postgres:
        postgres.kill()
        # Our own pid: alive, and no PostgreSQL.
        pid_file = data_dir / "cluster" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
        postgres.start()
        assert postgres.is_running()


def test_a_killed_server_whose_remains_nobody_collects_does_not_stop_a_start(data_dir: Path) -> None:
    killed, again = a_postgres(data_dir), a_postgres(data_dir)
    killed.start()
    remains = psutil.Process(killed.pid)
    remains.kill()
    while remains.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    with running(again):
        assert remains.status() == psutil.STATUS_ZOMBIE
    killed.stop()


async def test_what_a_killed_supervisor_left_running_is_taken_over(data_dir: Path) -> None:
    left_behind = a_postgres(data_dir)
    start_and_die(
        "from libs.devstack.postgres import EmbeddedPostgres",
        f"EmbeddedPostgres(Path(sys.argv[1]), port={left_behind.port}, durable=False)",
        data_dir,
    )
    async with connected(left_behind) as connection:
        await connection.execute("create table facts (said text); insert into facts values ('told')")
    try:
        left_behind.start(take_over=True)
        async with connected(left_behind) as connection:
            assert await connection.fetchval("select said from facts") == "told"
    finally:
        left_behind.stop()


def test_a_leftover_is_ended_once(data_dir: Path) -> None:
    assert not stop_leftover(data_dir)
    start_and_die(
        "from libs.devstack.postgres import EmbeddedPostgres",
        f"EmbeddedPostgres(Path(sys.argv[1]), port={free_port()}, durable=False)",
        data_dir,
    )
    assert stop_leftover(data_dir)
    assert not stop_leftover(data_dir)


def test_another_major_version_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "version").write_text("17.2\n")
    with pytest.raises(DevstackFailure, match=r"écrites par PostgreSQL 17\.2"):
        a_postgres(data_dir).start()


def test_a_failed_start_shows_the_end_of_the_log(data_dir: Path) -> None:
    with running(a_postgres(data_dir)):
        pass
    (data_dir / "cluster" / "postgresql.conf").write_text("no_such_setting = 1\n")
    postgres = a_postgres(data_dir)
    with pytest.raises(DevstackFailure, match=r"s'est arrêté au démarrage(?s:.*)no_such_setting"):
        postgres.start()
    assert not postgres.is_running()


def test_a_creation_cut_short_is_done_again(data_dir: Path) -> None:
    (data_dir / "cluster.draft").mkdir(parents=True)
    (data_dir / "cluster.draft" / "PG_VERSION").write_text("18\n")
    with running(a_postgres(data_dir)) as postgres:
        assert postgres.is_running()


def test_a_server_that_stops_by_itself_is_seen(data_dir: Path) -> None:
    with running(a_postgres(data_dir)) as postgres:
        assert postgres.pid is not None
        server = psutil.Process(postgres.pid)
        server.send_signal(signal.SIGINT)
        server.wait(timeout=20)
        assert not postgres.is_running()
