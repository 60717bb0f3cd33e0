"""Folders for the embedded servers."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder that another system user may reach: pytest's own is closed, and PostgreSQL is never root."""
    folder = Path(tempfile.mkdtemp(prefix="relance-devstack-"))
    yield folder / "data é"
    shutil.rmtree(folder)
