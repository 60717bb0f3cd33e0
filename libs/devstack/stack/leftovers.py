"""Ending what a killed supervisor left behind. Harmless when there is nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from libs.devstack import kafka, postgres
from libs.devstack.stack.folder import POLL_SECONDS, DataFolder

STACK_VARIABLE = "RELANCE_STACK"
"""In the environment of every process of a stack: the data folder that it works for."""

FINISHING_SECONDS = 6.0


def end_leftovers(folder: DataFolder) -> list[str]:
    """Ends every process of the folder's stack; answers with their names. To be called under its lock.

    Services first and politely, while what they need still answers; then Kafka and PostgreSQL.
    Raises DevstackFailure when one of them cannot be ended.
    """
    found = _find(folder)
    _end(list(found.values()))
    folder.update(lambda state: state.processes.clear())
    return [*found, *_end_servers(folder.path)]


def _find(folder: DataFolder) -> dict[str, psutil.Process]:
    servers = {"kafka", "postgres"}
    noted = folder.read().processes.items()
    found = {name: it for name, known in noted if name not in servers and (it := known.find()) is not None}
    # One that was started a moment before its supervisor was killed may not be noted yet.
    pids = {process.pid for process in found.values()}
    found.update({f"process {it.pid}": it for it in _that_work_for(folder.path) if it.pid not in pids})
    return found


def _that_work_for(path: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            environment = process.environ() if process.pid != os.getpid() else {}
        except (psutil.Error, OSError):
            continue  # somebody else's
        if environment.get(STACK_VARIABLE) == str(path):
            yield process


def _end(processes: list[psutil.Process]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        processes = _still_there(processes)


def _still_there(processes: list[psutil.Process]) -> list[psutil.Process]:
    deadline = time.monotonic() + FINISHING_SECONDS
    while processes and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        processes = [process for process in processes if not _is_gone(process)]
    return processes


def _is_gone(process: psutil.Process) -> bool:
    try:
        # In a container nobody may ever collect the orphans' remains: a zombie is gone.
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _end_servers(path: Path) -> list[str]:
    stops = {"Kafka": (kafka, path / "kafka"), "PostgreSQL": (postgres, path / "postgres")}
    with ThreadPoolExecutor() as threads:
        ended = {name: threads.submit(module.stop_leftover, data) for name, (module, data) in stops.items()}
        return [name for name, job in ended.items() if job.result()]
