"""The far ends of the wire as processes of their own: they say in one JSON line when they are ready."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STOP_SECONDS = 10


@contextmanager
def running(module: str, arguments: Sequence[str], log: Path) -> Iterator[dict[str, Any]]:
    """Run `python -m module`; yields its ready line, ends it cleanly afterwards."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"{module} ended before it was ready; see {log}:\n{log.read_text()[-2000:]}"
        yield json.loads(line)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
