"""The tables that the migrations make are the tables that the models say."""

from __future__ import annotations

import importlib

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from libs.common.database import with_scheme
from libs.common.migrations import migrate
from libs.common.settings import CommonSettings
from tests.servers.shared import SERVICES
from tests.world import World


def _differences(connection: Connection, metadata: MetaData, service: str) -> list[object]:
    context = MigrationContext.configure(
        connection,
        opts={
            "version_table_schema": service,
            "include_name": lambda name, kind, _: kind != "table" or name != "alembic_version",
        },
    )
    return list(compare_metadata(context, metadata))


@pytest.mark.parametrize("service", SERVICES)
async def test_models_and_migrations_say_the_same(service: str, world: World) -> None:
    models = importlib.import_module(f"services.{service}.models")
    engine = create_async_engine(
        with_scheme(world.database_url, "postgresql+asyncpg"),
        connect_args={"server_settings": {"search_path": service}},
    )
    async with engine.connect() as connection:
        found = await connection.run_sync(_differences, models.Model.metadata, service)
    await engine.dispose()
    assert found == []


async def test_migrating_again_changes_nothing(world: World) -> None:
    for service in SERVICES:
        await migrate(service, world.settings(CommonSettings))
        [row] = await world.rows(service, "select count(*) as n from alembic_version")
        assert row["n"] == 1
