"""Fixtures for tests on real servers. Run workers in parallel: they share Kafka and PostgreSQL."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.servers import Servers, shared_servers, stop_shared_servers
from tests.servers.shared import FOLDER_VARIABLE
from tests.world import World

# A busy machine makes no decision wrong.
settings.register_profile("relance", settings.default, deadline=None)
settings.load_profile("relance")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="relance-tests-")
        # PostgreSQL may run under another user than this one.
        Path(os.environ[FOLDER_VARIABLE]).chmod(0o755)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        folder = Path(os.environ[FOLDER_VARIABLE])
        stop_shared_servers(folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logged goes to the controller as UTF-8: half of a surrogate pair would end the worker."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(scope="session")
def servers() -> Servers:
    return shared_servers()


@pytest.fixture
async def world(servers: Servers) -> AsyncIterator[World]:
    """A database and topics of the test's own."""
    async with World.fresh(servers) as fresh:
        yield fresh
