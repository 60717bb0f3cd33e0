"""Migrating: by several at once, again, and by whoever may not."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from libs.common.errors import MisconfiguredError
from libs.common.migrations import migrate
from libs.common.settings import CommonSettings
from tests.servers import Servers
from tests.world import World


@pytest.fixture
async def empty_database(servers: Servers) -> AsyncIterator[str]:
    """The owner's URL of a database in which nothing is."""
    name = f"m{uuid.uuid4().hex[:12]}"
    owner = await asyncpg.connect(servers.database_url)
    try:
        await owner.execute(f'create database "{name}"')
        yield servers.url_of(name)
        await owner.execute(f'drop database "{name}" with (force)')
    finally:
        await owner.close()


async def test_several_that_migrate_at_once_take_turns(world: World, empty_database: str) -> None:
    settings = world.settings(CommonSettings, database_url=empty_database)
    await asyncio.gather(*(migrate(service, settings) for service in ("billing", "scheduler") * 3))
    connection = await asyncpg.connect(settings.service_database_url("scheduler"))
    try:
        assert await connection.fetch("select * from scheduler.inbox") == []
        assert len(await connection.fetch("select * from scheduler.alembic_version")) == 1
    finally:
        await connection.close()


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
