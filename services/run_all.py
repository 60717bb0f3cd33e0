"""`relance run all`: each service as a child process of its own, started again when it dies."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from libs.common.service import Door
from libs.devstack.stack.parts import Command
from libs.devstack.stack.progress import Progress
from libs.devstack.stack.supervisor import MISCONFIGURED_EXIT_CODE, Supervisor


def run_all(services: Sequence[str], doors: frozenset[Door]) -> int:
    """Until SIGTERM or SIGINT: 0; until every service refused its settings: 78."""
    supervisor = Supervisor(Progress(), lambda name, pid: None)

    def hear(number: int, frame: FrameType | None) -> None:
        # Not here: what is interrupted may hold the very lock.
        threading.Thread(target=supervisor.ask_to_stop).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)
    parts = [_command(service, doors) for service in services]
    try:
        for part in parts:
            supervisor.start(part)
        supervisor.wait()
    finally:
        supervisor.stop()
    return MISCONFIGURED_EXIT_CODE if all(supervisor.has_given_up(part) for part in parts) else 0


def _command(service: str, doors: frozenset[Door]) -> Command:
    command = [sys.executable, "-m", "services.cli", "run", service, "--doors", ",".join(sorted(doors))]
    return Command(service, command, environment=os.environ)
