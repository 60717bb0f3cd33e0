"""The data folder of `relance up`: what it remembers of the processes."""

from __future__ import annotations

import subprocess

from libs.devstack.stack.folder import Identity


def test_a_process_noted_the_moment_it_starts_is_found_again() -> None:
    for _ in range(50):
        process = subprocess.Popen(["sleep", "60"])
        try:
            noted = Identity.of(process.pid)
            assert noted.arguments == ["60"]
            assert noted.find() is not None
        finally:
            process.kill()
            process.wait()
        assert noted.find() is None
