"""The data folder of one embedded server: which process serves it, its lock, its log, its version.

A server may outlive whoever started it: the folder says which process it is (`server.json`), and a lock on
the folder, inherited by the server and its children, lasts exactly as long as any of them.
"""

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from libs.devstack.errors import DevstackFailure

POLL_SECONDS = 0.05
TAIL_LINES = 20
TAIL_BYTES = 64 * 1024


@dataclass(frozen=True)
class ServerFolder:
    """The data folder of one embedded server.

    `program` is the name of its executable, and `marker` a command-line argument that only the server of this
    very folder has; `stop_signals` are tried
    in turn, each with the seconds it is given, before SIGKILL. `orphans` finds children of a dead server that
    are still at work.
    """

    server: str
    path: Path
    program: str
    marker: str
    stop_signals: tuple[tuple[signal.Signals, float], ...]
    orphans: Callable[[], list[psutil.Process]] = list

    @property
    def log_path(self) -> Path:
        return self.path / f"{self.server.lower()}.log"

    @property
    def state_path(self) -> Path:
        return self.path / "server.json"

    @property
    def version_path(self) -> Path:
        return self.path / "version"

    def find_server(self) -> psutil.Process | None:
        """The running server of this folder, whoever started it."""
        recorded = self._recorded_pid()
        pids = ([recorded] if recorded is not None else []) + psutil.pids()
        return next((psutil.Process(pid) for pid in pids if self._is_ours(pid)), None)

    def _recorded_pid(self) -> int | None:
        try:
            return int(json.loads(self.state_path.read_text())["pid"])
        except (OSError, ValueError, KeyError):
            return None

    def _is_ours(self, pid: int) -> bool:
        # A pid alone proves nothing, it may have been given to somebody else since.
        try:
            program, *arguments = psutil.Process(pid).cmdline() or [""]
        except psutil.Error:
            return False
        return Path(program).name == self.program and self.marker in arguments

    def create(self) -> None:
        """Makes the folder, if need be."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DevstackFailure(
                f"{self.server} ne peut pas créer son dossier {self.path} : {error}."
            ) from error

    def record(self, pid: int, **details: object) -> None:
        """Notes which process serves this folder, for those who come after a crash."""
        self.state_path.write_text(json.dumps({"server": self.server, "pid": pid, **details}) + "\n")

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of the server's log."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def failure(self, what: str) -> DevstackFailure:
        """An error that carries the end of the log."""
        return DevstackFailure(
            f"{self.server} {what}. Journal : {self.log_path}. Ses dernières lignes :\n"
            f"{self.tail() or '(vide)'}"
        )

    def recorded_version(self) -> str | None:
        """The version that last wrote here; None when the folder was never made ready."""
        try:
            return self.version_path.read_text().strip()
        except FileNotFoundError:
            return None

    def ensure_version(self, running: str) -> None:
        """Raises DevstackFailure when the folder was written by another major version."""
        written = self.recorded_version()
        if written is not None and _major(written) != _major(running):
            raise DevstackFailure(
                f"Les données de {self.path} ont été écrites par {self.server} {written} ; celui-ci est "
                f"{self.server} {running}, qui ne les lit pas. Revenez à l'ancienne version, "
                "ou repartez de zéro (`make reset`)."
            )


def _major(version: str) -> str:
    return version.split(".", maxsplit=1)[0]


class FolderLock:
    """The right to run a server on a folder; inherited by the server through its file descriptor."""

    def __init__(self, folder: ServerFolder) -> None:
        self._folder = folder
        try:
            self.descriptor = os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError as error:
            raise DevstackFailure(
                f"{folder.path} appartient à un autre utilisateur ({error}) : lancez la commande sous "
                "le même utilisateur que la première fois, ou choisissez un autre dossier de données."
            ) from error

    def try_acquire(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self, wait_seconds: float) -> None:
        """Waits for the last children of a dead server; raises DevstackFailure for a live server."""
        started = time.monotonic()
        while not self.try_acquire():
            waited = time.monotonic() - started
            if (running := self._folder.find_server()) is not None:
                raise DevstackFailure(
                    f"{self._folder.server} tourne déjà sur {self._folder.path} (processus {running.pid}). "
                    "Deux serveurs sur les mêmes données les abîmeraient : arrêtez-le d'abord (`make down`)."
                )
            if waited > wait_seconds / 2:
                # They had time to notice by themselves; without their server their work is lost anyway.
                for orphan in self._folder.orphans():
                    orphan.kill()
            if waited > wait_seconds:
                raise DevstackFailure(
                    f"Un autre processus tient encore {self._folder.path}/lock depuis {wait_seconds:.0f} s. "
                    f"`lsof {self._folder.path}/lock` dit lequel ; arrêtez-le, puis recommencez."
                )
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Lets go, unless a server has inherited it: then the lock lasts as long as that server."""
        os.close(self.descriptor)


def lock_folder(folder: ServerFolder, wait_seconds: float = 10) -> FolderLock:
    """The lock of the folder, held. Raises DevstackFailure when a live server has it."""
    lock = FolderLock(folder)
    try:
        lock.acquire(wait_seconds)
    except BaseException:
        lock.close()
        raise
    return lock
