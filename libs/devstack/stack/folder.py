"""The data folder of a stack: one supervisor at a time; what it runs is noted for those who come after."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from libs.devstack.errors import DevstackFailure

POLL_SECONDS = 0.1
# A caretaker lets services finish what they have in hand; Kafka closes its files.
CLEANING_SECONDS = 30.0
# The machine's idea of its own start wavers by less.
SAME_PROCESS_SECONDS = 2.0
BEGINNING_SECONDS = 2.0
BEGINNING_LOOK_SECONDS = 0.005


@dataclass(frozen=True)
class Identity:
    """A process beyond doubt: a pid alone may have been given to somebody else since."""

    pid: int
    created_at: float
    arguments: list[str]

    @classmethod
    def of(cls, pid: int) -> Identity:
        """Raises psutil.NoSuchProcess when it is gone already."""
        process = psutil.Process(pid)
        deadline = time.monotonic() + BEGINNING_SECONDS
        # One that was started this moment has no command line yet, and would not be found again.
        while not (words := process.cmdline()) and time.monotonic() < deadline:
            time.sleep(BEGINNING_LOOK_SECONDS)
        return cls(pid, process.create_time(), words[1:])

    def find(self) -> psutil.Process | None:
        """The very process, if it still runs."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.created_at) < SAME_PROCESS_SECONDS
            if is_same and process.cmdline()[1:] == self.arguments:
                return process
        except psutil.Error:
            pass
        return None


@dataclass
class State:
    """What the folder remembers from one `up` to the next."""

    port_base: int | None = None
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, Identity] = field(default_factory=dict)
    demo: dict[str, Any] | None = None


class DataFolder:
    """A context manager that holds the folder's lock. Raises DevstackFailure when somebody else has it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self._guard = threading.Lock()
        self._descriptor: int | None = None

    @property
    def lock_descriptor(self) -> int:
        """To be inherited by the caretaker: the lock then lasts until it has cleaned up."""
        assert self._descriptor is not None, "the folder is not locked"
        return self._descriptor

    @property
    def _state_path(self) -> Path:
        return self.path / "state.json"

    @property
    def _lock_path(self) -> Path:
        return self.path / "lock"

    def exists(self) -> bool:
        """Whether a stack ever lived here."""
        return self._lock_path.exists()

    def acquire(self, say: Callable[[str], None]) -> None:
        """Takes the lock, waiting for the end of a killed supervisor's clean-up."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DevstackFailure(f"Le dossier de données {self.path} est inutilisable : {error}") from error
        try:
            self._wait_for(descriptor, say)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._lock_path.write_text(json.dumps(asdict(Identity.of(os.getpid()))))

    def _wait_for(self, descriptor: int, say: Callable[[str], None]) -> None:
        deadline = time.monotonic() + CLEANING_SECONDS
        has_said = False
        while not _try_lock(descriptor):
            if (holder := self.find_supervisor()) is not None:
                raise DevstackFailure(
                    f"Un autre `relance up` tourne déjà sur {self.path} (processus {holder.pid}) : "
                    "arrêtez-le (Ctrl-C, ou `relance down`), ou choisissez un autre dossier avec --data."
                )
            if time.monotonic() > deadline:
                raise DevstackFailure(
                    f"Un processus tient {self._lock_path} depuis {CLEANING_SECONDS:.0f} s. "
                    f"`lsof {self._lock_path}` dit lequel ; arrêtez-le, puis recommencez."
                )
            if not has_said:
                say("Le précédent a été tué : ce qu'il a laissé finit de s'arrêter…")
                has_said = True
            time.sleep(POLL_SECONDS)

    def find_supervisor(self) -> psutil.Process | None:
        """The `relance up` that has the folder, if it lives."""
        try:
            return Identity(**json.loads(self._lock_path.read_text())).find()
        except (OSError, ValueError, TypeError):
            return None

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read(self) -> State:
        """What was noted last; nothing of it is lost in a crash, a damaged file counts as none."""
        try:
            noted = json.loads(self._state_path.read_text())
            processes = {name: Identity(**identity) for name, identity in noted.pop("processes").items()}
            return State(**noted, processes=processes)
        except (OSError, ValueError, TypeError, KeyError):
            return State()

    def update(self, change: Callable[[State], None]) -> None:
        """Reads, changes and replaces the state file in one piece."""
        with self._guard:
            state = self.read()
            change(state)
            written = self._state_path.with_suffix(".new")
            written.write_text(json.dumps(asdict(state), indent=2) + "\n")
            written.replace(self._state_path)

    def note_process(self, name: str, pid: int | None) -> None:
        """`pid` runs as `name`; None: it was stopped."""

        def change(state: State) -> None:
            state.processes.pop(name, None)
            if pid is not None:
                state.processes[name] = Identity.of(pid)

        try:
            self.update(change)
        except psutil.NoSuchProcess:
            return


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
