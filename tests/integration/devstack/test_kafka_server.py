"""The embedded Kafka, as a developer's machine treats it: started, killed, started twice, left behind."""

import contextlib
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from libs.devstack import kafka_jars
from libs.devstack.errors import DevstackFailure
from libs.devstack.kafka import EmbeddedKafka, stop_leftover
from libs.devstack.ports import free_port
from tests.integration.devstack.leftovers import start_and_die


def a_kafka(data_dir: Path) -> EmbeddedKafka:
    port = free_port()
    return EmbeddedKafka(data_dir, port=port, controller_port=free_port(avoid=[port]))


@contextlib.contextmanager
def running(kafka: EmbeddedKafka) -> Iterator[EmbeddedKafka]:
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.kill()


async def create_topic(kafka: EmbeddedKafka, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(kafka: EmbeddedKafka, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, acks="all", enable_idempotence=True
    ) as producer:
        await producer.send_and_wait(topic, value)


async def read_first(kafka: EmbeddedKafka, topic: str, group: str = "readers") -> bytes | None:
    """The first message that the group has not read yet; its position is committed on leaving."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap_servers, group_id=group, auto_offset_reset="earliest"
    )
    async with consumer:
        record = await consumer.getone()
    value: bytes | None = record.value
    return value


async def test_a_message_survives_kill_9_and_other_ports(data_dir: Path) -> None:
    with running(a_kafka(data_dir)) as kafka:
        await create_topic(kafka, "facts")
        await produce(kafka, "facts", b"told")
        assert await read_first(kafka, "facts") == b"told"
        kafka.kill()
        assert not kafka.is_running()
        assert kafka.pid is None
    with running(a_kafka(data_dir)) as again:
        assert await read_first(again, "facts", group="others") == b"told"
        await produce(again, "facts", b"told later")
        # Where the first group had come to was kept too.
        assert await read_first(again, "facts") == b"told later"


def test_a_clean_stop_ends_the_process(data_dir: Path) -> None:
    with a_kafka(data_dir) as kafka:
        pid = kafka.pid
        assert pid is not None
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)
    kafka.stop()


def test_a_second_start_on_the_same_folder_is_refused_and_harms_nothing(data_dir: Path) -> None:
    with running(a_kafka(data_dir)) as first:
        with pytest.raises(DevstackFailure, match=f"tourne déjà sur .*processus {first.pid}"):
            a_kafka(data_dir).start()
        assert first.is_running()


@pytest.mark.parametrize("which", ["port", "controller_port"])
def test_a_taken_port_is_refused_before_anything_starts(data_dir: Path, which: str) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        taken = listener.getsockname()[1]
        ports = {"port": free_port(), "controller_port": free_port()} | {which: taken}
        with pytest.raises(DevstackFailure, match=f"le port {taken}"):
            EmbeddedKafka(data_dir, **ports).start()
    assert not (data_dir / "log").exists()


async def test_what_a_killed_supervisor_left_running_is_taken_over(data_dir: Path) -> None:
    left_behind = a_kafka(data_dir)
    start_and_die(
        "from libs.devstack.kafka import EmbeddedKafka",
        f"EmbeddedKafka(Path(sys.argv[1]), port={left_behind.port}, controller_port={free_port()})",
        data_dir,
    )
    await create_topic(left_behind, "facts")
    await produce(left_behind, "facts", b"told")
    try:
        left_behind.start(take_over=True)
        assert await read_first(left_behind, "facts") == b"told"
    finally:
        left_behind.kill()


def test_a_leftover_is_ended_once(data_dir: Path) -> None:
    assert not stop_leftover(data_dir)
    start_and_die(
        "from libs.devstack.kafka import EmbeddedKafka",
        f"EmbeddedKafka(Path(sys.argv[1]), port={free_port()}, controller_port={free_port()})",
        data_dir,
    )
    assert stop_leftover(data_dir)
    assert not stop_leftover(data_dir)


def test_a_pid_that_belongs_to_somebody_else_is_left_alone(data_dir: Path) -> None:
    with running(a_kafka(data_dir)) as kafka:
        (data_dir / "server.json").write_text('{"pid": 1}')
        assert stop_leftover(data_dir)
        assert not kafka.is_running()
    assert psutil.pid_exists(1)


def test_another_major_version_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "version").write_text("3.9.1\n")
    with pytest.raises(DevstackFailure, match=r"écrites par Kafka 3\.9\.1"):
        a_kafka(data_dir).start()


def test_a_failed_start_shows_the_end_of_the_log(data_dir: Path) -> None:
    with running(a_kafka(data_dir)):
        pass
    next(data_dir.glob("log/meta.properties")).write_text("version=1\ncluster.id=other\nnode.id=7\n")
    kafka = a_kafka(data_dir)
    with pytest.raises(DevstackFailure, match=r"s'est arrêté au démarrage(?s:.*)Stored node id 7"):
        kafka.start()
    assert not kafka.is_running()


def test_a_formatting_cut_short_is_done_again(data_dir: Path) -> None:
    (data_dir / "log").mkdir(parents=True)
    (data_dir / "log" / "meta.properties").write_text("half")
    with running(a_kafka(data_dir)) as kafka:
        assert kafka.is_running()


def test_an_altered_jar_is_never_run(data_dir: Path, tmp_path: Path) -> None:
    jars = kafka_jars.kafka_jars(kafka_jars.default_cache_dir(), print)
    cache = tmp_path / "cache"
    shutil.copytree(
        kafka_jars.default_cache_dir() / f"kafka-{kafka_jars.VERSION}", cache / f"kafka-{kafka_jars.VERSION}"
    )
    altered = next(cache.rglob(jars[0].name))
    altered.write_bytes(altered.read_bytes() + b"!")
    kafka = EmbeddedKafka(data_dir, port=free_port(), controller_port=free_port(), cache_dir=cache)
    with pytest.raises(DevstackFailure, match=f"{altered.name} n'est pas le fichier attendu"):
        kafka.start()
    assert not data_dir.exists()
