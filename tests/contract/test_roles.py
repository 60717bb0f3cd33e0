"""A service's database role sees its own schema and nothing of the others'."""

from __future__ import annotations

import asyncpg
import pytest

from libs.common.settings import CommonSettings
from tests.servers.shared import SERVICES
from tests.world import World


@pytest.mark.parametrize("service", SERVICES)
async def test_a_role_reads_its_own_tables_and_no_others(service: str, world: World) -> None:
    connection = await asyncpg.connect(world.settings(CommonSettings).service_database_url(service))
    try:
        await connection.fetch(f'select * from "{service}".inbox')
        for other in set(SERVICES) - {service}:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f'select * from "{other}".inbox')
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f'create table "{service}".mine (a int)')
    finally:
        await connection.close()
