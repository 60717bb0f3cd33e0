"""Migrating: by several at once, again, and by whoever may not."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError

from libs.common.errors import MisconfiguredError
from libs.common.migrations import migrate
from libs.common.settings import CommonSettings
from tests.fakes.service_process import RELANCE, environment_of
from tests.servers import Servers
from tests.servers.shared import SERVICES
from tests.world import World, until

MIGRATIONS = Path(__file__).parents[3] / "services" / "scheduler" / "migrations"


@pytest.fixture
async def empty_database(servers: Servers) -> AsyncIterator[str]:
    async with made_empty(servers) as url:
        yield url


@asynccontextmanager
async def made_empty(servers: Servers) -> AsyncIterator[str]:
    """The owner's URL of a database in which nothing is."""
    name = f"m{uuid.uuid4().hex[:12]}"
    owner = await asyncpg.connect(servers.database_url)
    try:
        await owner.execute(f'create database "{name}"')
        yield servers.url_of(name)
    finally:
        await owner.execute(f'drop database if exists "{name}" with (force)')
        await owner.close()


async def rows(url: str, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


async def dump(url: str) -> list[asyncpg.Record]:
    """Everything that migrations make: tables, columns, indexes, functions, triggers, grants, revisions."""
    versions = await rows(url, "select version_num from scheduler.alembic_version")
    return versions + await rows(
        url,
        """
        select table_name || '.' || column_name || ' ' || data_type as made
            from information_schema.columns where table_schema = 'scheduler'
        union all select indexdef from pg_indexes where schemaname = 'scheduler'
        union all select proname from pg_proc where pronamespace = 'scheduler'::regnamespace
        union all select tgname || tgrelid::regclass from pg_trigger where not tgisinternal
        union all select relname || coalesce(relacl::text, '') from pg_class
            where relnamespace = 'scheduler'::regnamespace
        order by 1
        """,
    )


def own_roles(world: World, url: str) -> CommonSettings:
    """Roles of the test's own: those of the others are there already."""
    return world.settings(CommonSettings, database_url=url, database_role_prefix=f"r{uuid.uuid4().hex[:12]}")


async def migrate_as_a_process(world: World, settings: CommonSettings, *services: str) -> int:
    url = settings.database_url
    assert url is not None
    environment = environment_of(
        world, database_url=url.get_secret_value(), database_role_prefix=settings.database_role_prefix
    )
    process = await asyncio.create_subprocess_exec(
        RELANCE, "migrate", *services, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()


async def test_four_processes_that_migrate_at_once_make_one_history(
    world: World, empty_database: str
) -> None:
    settings = own_roles(world, empty_database)
    ends = await asyncio.gather(*(migrate_as_a_process(world, settings, "scheduler") for _ in range(4)))
    assert ends == [0, 0, 0, 0]
    [version] = await rows(empty_database, "select version_num from scheduler.alembic_version")
    newest = max(file.stem[:4] for file in MIGRATIONS.glob("[0-9]*.py"))
    assert version["version_num"] == newest
    assert await rows(settings.service_database_url("scheduler"), "select * from scheduler.inbox") == []
    made = await dump(empty_database)
    assert await migrate_as_a_process(world, settings, "scheduler") == 0
    await migrate("scheduler", settings)
    assert await dump(empty_database) == made


async def test_several_that_migrate_at_once_take_turns(world: World, empty_database: str) -> None:
    settings = own_roles(world, empty_database)
    await asyncio.gather(*(migrate(service, settings) for service in SERVICES * 2))
    for service in SERVICES:
        url = settings.service_database_url(service)
        assert await rows(url, f"select * from {service}.inbox") == []
        assert len(await rows(url, f"select * from {service}.alembic_version")) == 1


async def test_databases_of_one_server_that_migrate_at_once_share_their_roles(
    world: World, servers: Servers
) -> None:
    """Roles belong to the server, and nothing that one database locks is locked in another."""
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(made_empty(servers)) for _ in range(3)]
        for _ in range(2):
            settings = own_roles(world, urls[0])
            each = [settings.model_copy(update={"database_url": SecretStr(url)}) for url in urls]
            ends = await asyncio.gather(*(migrate_as_a_process(world, one) for one in each))
            assert ends == [0, 0, 0]
        for one in each:
            url = one.service_database_url("scheduler")
            assert await rows(url, "select * from scheduler.inbox") == []


HELD = 20_261_123

# Whoever makes this table waits until the test lets go.
HOLD = f"""
    create function public.hold() returns event_trigger language plpgsql as $$
    begin
        if exists (select from pg_event_trigger_ddl_commands() where object_identity = '{{table}}') then
            perform pg_advisory_xact_lock({HELD});
        end if;
    end
    $$;
    create event trigger hold on ddl_command_end when tag in ('CREATE TABLE') execute function public.hold()
"""


@pytest.mark.parametrize("table", ["scheduler.alembic_version", "scheduler.inbox", "scheduler.occurrences"])
async def test_a_migration_whose_connection_dies_half_way_leaves_nothing_half_made(
    table: str, world: World, empty_database: str
) -> None:
    settings = own_roles(world, empty_database)
    owner = await asyncpg.connect(empty_database)
    try:
        await owner.execute(HOLD.format(table=table))
        await owner.execute(f"select pg_advisory_lock({HELD})")
        migrating = asyncio.create_task(migrate("scheduler", settings))

        async def half_way() -> list[asyncpg.Record]:
            return await owner.fetch(
                "select pid from pg_locks where locktype = 'advisory' and not granted and objid = $1", HELD
            )

        [waiting] = await until(half_way, what="the migration half-way")
        await owner.execute("select pg_terminate_backend($1)", waiting["pid"])
        with pytest.raises(DBAPIError, match=r"terminat|closed"):
            await migrating
        assert await owner.fetch("select from pg_namespace where nspname = 'scheduler'") == []
        role = settings.role_of("scheduler")
        assert await owner.fetch("select from pg_roles where rolname = $1", role) == []
        await owner.execute(f"select pg_advisory_unlock({HELD})")
        await migrate("scheduler", settings)
    finally:
        await owner.close()
    assert await rows(settings.service_database_url("scheduler"), "select * from scheduler.inbox") == []


async def test_one_role_is_enough_where_the_owner_may_not_create_any(
    world: World, empty_database: str
) -> None:
    settings = world.settings(CommonSettings, database_url=empty_database, database_single_role=True)
    await migrate("scheduler", settings)
    connection = await asyncpg.connect(settings.service_database_url("scheduler"))
    try:
        assert await connection.fetch("select * from scheduler.inbox") == []
    finally:
        await connection.close()


async def test_who_may_not_create_roles_is_told_what_to_do(world: World, empty_database: str) -> None:
    role = f"u{uuid.uuid4().hex[:12]}"
    owner = await asyncpg.connect(empty_database)
    try:
        await owner.execute(f"create role {role} login password 'for-tests'")
        database = empty_database.rpartition("/")[2]
        await owner.execute(f'grant create on database "{database}" to {role}')
        address = empty_database.partition("@")[2]
        settings = world.settings(
            CommonSettings,
            database_url=f"postgresql://{role}:for-tests@{address}",
            database_role_prefix=role,
        )
        with pytest.raises(MisconfiguredError, match=r"CREATEROLE.*DATABASE_SINGLE_ROLE=true"):
            await migrate("scheduler", settings)
        assert await owner.fetch("select 1 from pg_namespace where nspname = 'scheduler'") == []
    finally:
        await owner.execute(f"drop owned by {role}")
        await owner.execute(f"drop role {role}")
        await owner.close()


async def test_a_service_that_does_not_exist_is_refused(world: World) -> None:
    with pytest.raises(MisconfiguredError, match="no service 'nothing'"):
        await migrate("nothing", world.settings(CommonSettings))


async def test_without_the_owners_url_it_says_so(world: World) -> None:
    with pytest.raises(MisconfiguredError, match="DATABASE_URL"):
        await migrate("billing", world.settings(CommonSettings, database_url=None))
