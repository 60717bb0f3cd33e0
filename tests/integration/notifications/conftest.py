"""Notifications on real servers, and a mail server of the test's own that can be told to misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.devstack.mail_catcher.process import RunningCatcher, running_catcher
from libs.devstack.sms_provider.control import SmsProviderControl
from libs.devstack.sms_provider.process import running_sms_provider
from tests.integration.notifications.office import SMS_KEY, Office
from tests.world import World


@pytest.fixture
async def catcher(tmp_path: Path) -> AsyncIterator[RunningCatcher]:
    async with running_catcher(tmp_path / "mails") as running:
        yield running


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[SmsProviderControl]:
    async with running_sms_provider(tmp_path / "sms", SMS_KEY) as running:
        yield running.control


@pytest.fixture
def office(world: World, catcher: RunningCatcher) -> Office:
    return Office(world, catcher)
