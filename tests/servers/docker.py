"""Kafka and PostgreSQL as containers, where a Docker engine answers."""

from __future__ import annotations

import json
from pathlib import Path

KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:18"


def is_answering() -> bool:
    """Whether an engine is there; the client alone does not count."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=2)
    except DockerException:
        return False
    try:
        return bool(client.ping())
    except DockerException:
        return False
    finally:
        client.close()


def start(folder: Path) -> tuple[str, str]:
    """Answers with Kafka's bootstrap servers and the database owner's URL; notes the containers' ids."""
    from testcontainers.kafka import KafkaContainer
    from testcontainers.postgres import PostgresContainer

    kafka = KafkaContainer(KAFKA_IMAGE).with_kraft()
    kafka.start()
    postgres = PostgresContainer(POSTGRES_IMAGE, username="relance", dbname="relance", driver=None)
    postgres.with_command("postgres -c fsync=off -c max_connections=300")
    postgres.start()
    ids = [container.get_wrapped_container().id for container in (kafka, postgres)]
    (folder / "containers.json").write_text(json.dumps(ids))
    return kafka.get_bootstrap_server(), postgres.get_connection_url()


def stop(folder: Path) -> None:
    noted = folder / "containers.json"
    if not noted.exists():
        return
    import docker

    client = docker.from_env()
    for container_id in json.loads(noted.read_text()):
        client.containers.get(container_id).remove(force=True, v=True)
    client.close()
