"""The process of an embedded server: start it, wait until it answers, end it.

It runs in a session of its own, so that a Ctrl-C in the terminal reaches only whoever supervises it.
"""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

import psutil

from libs.devstack.errors import DevstackFailure
from libs.devstack.folders import POLL_SECONDS, FolderLock, ServerFolder


class ServerProcess:
    """The process started here for a folder: spawn, wait for it, end it."""

    def __init__(self, folder: ServerFolder) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.is_running() else None

    @property
    def exit_code(self) -> int | None:
        """How it ended by itself, negative for a signal; None while it runs, and once stopped here."""
        return None if self._process is None else self._process.poll()

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
                self._fail_if_late(deadline, deadline_seconds)
                time.sleep(POLL_SECONDS)
        except BaseException:
            self.kill()
            raise

    def _fail_if_dead(self) -> None:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise self._folder.failure(f"s'est arrêté au démarrage (code {code})")

    def _fail_if_late(self, deadline: float, deadline_seconds: float) -> None:
        if time.monotonic() > deadline:
            raise self._folder.failure(f"ne répond pas après {deadline_seconds:.0f} s")

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
        if _has_ended(process, wait_seconds):
            return
    raise DevstackFailure(
        f"Le processus {process.pid} ne s'arrête pas, même tué : regardez ce qui le retient."
    )


def _has_ended(process: "subprocess.Popen[bytes] | psutil.Process", wait_seconds: float) -> bool:
    deadline = time.monotonic() + wait_seconds
    while not _is_gone(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _is_gone(process: "subprocess.Popen[bytes] | psutil.Process") -> bool:
    if isinstance(process, subprocess.Popen):
        return process.poll() is not None
    try:
        # In a container nobody may ever collect the orphans' remains: a zombie is gone.
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


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
