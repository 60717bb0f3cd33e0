"""Data folders for `relance up`, and one long-lived stack that the tests share."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.lives import Home


@contextlib.contextmanager
def _new_folder() -> Iterator[Path]:
    # Not tmp_path: pytest closes its folders to others, and started by root PostgreSQL runs as somebody else.
    folder = Path(tempfile.mkdtemp(prefix="relance-e2e-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    with _new_folder() as new:
        yield new


@pytest.fixture(scope="package")
def home() -> Iterator[Home]:
    """With the demo, on data that stay from test to test; each test finds it running, or starts it."""
    with _new_folder() as new:
        shared = Home(new)
        yield shared
        shared.close()
