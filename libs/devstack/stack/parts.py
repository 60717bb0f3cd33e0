"""One thing that runs: a command of ours, Kafka, PostgreSQL. Started, looked at, stopped in the same way."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from libs.devstack.kafka import EmbeddedKafka
from libs.devstack.postgres import EmbeddedPostgres

LARGEST_LOG_BYTES = 20_000_000
TAIL_LINES = 15
TAIL_COLUMNS = 400


class Part(Protocol):
    """`name` for machines, `label` for people; `layer`: those of the lowest are stopped first."""

    name: str
    label: str
    layer: int

    @property
    def log_path(self) -> Path | None: ...

    @property
    def pid(self) -> int | None:
        """None when it does not run."""

    @property
    def exit_code(self) -> int | None:
        """Once it has ended; negative: the signal that ended it."""

    def start(self) -> None: ...

    def stop(self, seconds: float) -> None:
        """Politely, then not; returns when it is gone."""

    def kill(self) -> None: ...

    def tail(self) -> str:
        """The last lines that it logged since it was started."""


class Command:
    """A process with a session of its own: Ctrl-C in the terminal reaches only the supervisor.

    Its output is appended to `log_path`; None: it goes where ours goes.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path | None = None,
        log_path: Path | None = None,
        label: str | None = None,
        layer: int = 0,
    ) -> None:
        self.name = name
        self.label = label or name
        self.layer = layer
        self.log_path = log_path
        self._command = command
        self._environment = environment
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(_open_log(self.log_path)) if self.log_path else None
            self._log_start = log.tell() if log else 0
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
                cwd=self._folder,
                env=dict(self._environment),
                start_new_session=True,
            )

    def stop(self, seconds: float) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()

    def tail(self) -> str:
        return _tail(self.log_path, self._log_start) if self.log_path else ""


def _open_log(path: Path) -> BinaryIO:
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LARGEST_LOG_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")


class Server:
    """Kafka or PostgreSQL, embedded."""

    def __init__(
        self, name: str, server: EmbeddedKafka | EmbeddedPostgres, *, label: str, layer: int = 2
    ) -> None:
        self.name = name
        self.label = label
        self.layer = layer
        self._server = server

    @property
    def log_path(self) -> Path:
        return self._server.log_path

    @property
    def pid(self) -> int | None:
        return self._server.pid

    @property
    def exit_code(self) -> int | None:
        return self._server.exit_code

    def start(self) -> None:
        self._server.start(take_over=True)

    def stop(self, seconds: float) -> None:
        self._server.stop()

    def kill(self) -> None:
        self._server.kill()

    def tail(self) -> str:
        return _tail(self.log_path)


def _tail(path: Path, start: int = 0) -> str:
    try:
        with path.open("rb") as log:
            log.seek(start)
            lines = log.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
    except OSError:
        return ""
    return "\n".join(f"    {line[:TAIL_COLUMNS]}" for line in lines)


def describe_exit(code: int | None) -> str:
    """`code 1`, or `signal SIGKILL`."""
    if code is None:
        return "raison inconnue"
    if code >= 0:
        return f"code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
