"""Notifications on real servers, and a mail server of the test's own that can be told to misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.devstack.mail_catcher.process import RunningCatcher, running_catcher
from tests.integration.notifications.office import Office
from tests.world import World


@pytest.fixture
async def catcher(tmp_path: Path) -> AsyncIterator[RunningCatcher]:
    async with running_catcher(tmp_path / "mails") as running:
        yield running


@pytest.fixture
def office(world: World, catcher: RunningCatcher) -> Office:
    return Office(world, catcher)
