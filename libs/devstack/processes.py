"""A server process that owns a data folder, and outlives nobody's patience.

The server runs in a session of its own, so that a Ctrl-C in the terminal reaches only whoever supervises it.
It may therefore outlive that supervisor: the folder says which process it is (`server.json`), and a lock on
the folder, inherited by the server and its children, lasts exactly as long as any of them.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
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

    `marker` is a command-line argument that only the server of this very folder has; `stop_signals` are tried
    in turn, each with the seconds it is given, before SIGKILL.
    """

    server: str
    path: Path
    marker: str
    stop_signals: tuple[tuple[signal.Signals, float], ...]

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
            return self.marker in psutil.Process(pid).cmdline()[1:]
        except psutil.Error:
            return False

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
            f"{self.server} {what}. Journal : {self.log_path}. Ses dernières lignes :\n{self.tail() or '(vide)'}"
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
        if written is not None and written.split(".")[0] != running.split(".")[0]:
            raise DevstackFailure(
                f"Les données de {self.path} ont été écrites par {self.server} {written} ; celui-ci est "
                f"{self.server} {running}, qui ne les lit pas. Revenez à l'ancienne version, "
                "ou repartez de zéro (`make reset`)."
            )


class FolderLock:
    """The right to run a server on a folder; inherited by the server through its file descriptor."""

    def __init__(self, folder: ServerFolder) -> None:
        self._folder = folder
        self.descriptor = os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)

    def try_acquire(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self, wait_seconds: float) -> None:
        """Waits for the last children of a dead server; raises DevstackFailure for a live server."""
        deadline = time.monotonic() + wait_seconds
        while not self.try_acquire():
            if (running := self._folder.find_server()) is not None:
                raise DevstackFailure(
                    f"{self._folder.server} tourne déjà sur {self._folder.path} (processus {running.pid}). "
                    "Deux serveurs sur les mêmes données les abîmeraient : arrêtez-le d'abord (`make down`)."
                )
            if time.monotonic() > deadline:
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


class ServerProcess:
    """The process started here for a folder: spawn, wait for it, end it."""

    def __init__(self, folder: ServerFolder) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.is_running() else None

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(
        self,
        command: Sequence[str],
        lock: FolderLock,
        *,
        env: Mapping[str, str],
        user: int | None = None,
        group: int | None = None,
        **details: object,
    ) -> None:
        """Starts the server, its output in the folder's log (the previous log is kept as `….log.1`)."""
        folder = self._folder
        with contextlib.suppress(FileNotFoundError):
            folder.log_path.replace(folder.log_path.with_suffix(".log.1"))
        with folder.log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder.path,
                env=dict(env),
                user=user,
                group=group,
                extra_groups=None if user is None else [],
                start_new_session=True,
                pass_fds=[lock.descriptor],
            )
        folder.record(self._process.pid, **details)

    def wait_until(self, answers: Callable[[], bool], deadline_seconds: float) -> None:
        """Waits until the server answers; ends it and raises DevstackFailure when it does not."""
        deadline = time.monotonic() + deadline_seconds
        try:
            while not answers():
                self._fail_if_dead()
                if time.monotonic() > deadline:
                    raise self._folder.failure(f"ne répond pas après {deadline_seconds:.0f} s")
                time.sleep(POLL_SECONDS)
        except BaseException:
            self.kill()
            raise

    def _fail_if_dead(self) -> None:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise self._folder.failure(f"s'est arrêté au démarrage (code {code})")

    def stop(self) -> None:
        """Asks politely, then less so; returns when the process is gone. Harmless when it already is."""
        process = self._process
        if process is not None:
            end(process, self._folder.stop_signals)
            self._process = None

    def kill(self) -> None:
        """SIGKILL at once."""
        if self._process is not None:
            end(self._process, ())
            self._process = None


def end(
    process: "subprocess.Popen[bytes] | psutil.Process",
    stop_signals: Sequence[tuple[signal.Signals, float]],
) -> None:
    """Sends each signal and waits the seconds that go with it; SIGKILL when none of them helped."""
    for stop_signal, wait_seconds in (*stop_signals, (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            process.send_signal(stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired, psutil.TimeoutExpired):
            process.wait(timeout=wait_seconds)
            return
    raise DevstackFailure(f"Le processus {process.pid} ne s'arrête pas, même tué : regardez ce qui le retient.")


def end_leftover(folder: ServerFolder, wait_seconds: float = 10) -> bool:
    """Ends the server that a crash left behind on this folder; False when there was none.

    Returns once the folder can be used again. Raises DevstackFailure when the process cannot be ended.
    """
    if not folder.path.is_dir():
        return False
    lock = FolderLock(folder)
    try:
        if lock.try_acquire():
            return False
        if (leftover := folder.find_server()) is not None:
            _end_foreign(leftover, folder)
        lock.acquire(wait_seconds)
        return True
    finally:
        lock.close()


def _end_foreign(leftover: psutil.Process, folder: ServerFolder) -> None:
    try:
        end(leftover, folder.stop_signals)
    except psutil.AccessDenied as error:
        raise DevstackFailure(
            f"{folder.server} (processus {leftover.pid}) tourne encore sur {folder.path}, sous un autre "
            "utilisateur : arrêtez-le avec cet utilisateur."
        ) from error
