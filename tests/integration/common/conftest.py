from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.common.rig import Rig
from tests.world import World


@pytest.fixture
async def rig(world: World) -> AsyncIterator[Rig]:
    async with Rig.made(world) as made:
        yield made
