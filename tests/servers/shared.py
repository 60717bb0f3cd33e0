"""One Kafka and one PostgreSQL a test session, whatever the number of pytest workers.

testcontainers where a Docker engine answers, the embedded servers of `relance up` where none does.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg

from libs.common.migrations import migrate
from libs.common.settings import CommonSettings
from libs.devstack import kafka as embedded_kafka
from libs.devstack import postgres as embedded_postgres
from libs.devstack.ports import free_port
from tests.servers import docker

FOLDER_VARIABLE = "RELANCE_TEST_SERVERS"
TEMPLATE = "relance_template"
APP_SECRET = "a-secret-for-tests-only-0123456789"
SERVICES = ("billing", "notifications", "scheduler", "admin_api")


@dataclass(frozen=True)
class Servers:
    """Where they are: `database_url` is the owner's, of the maintenance database."""

    kafka_bootstrap_servers: str
    database_url: str

    def url_of(self, database: str) -> str:
        return self.database_url.rpartition("/")[0] + f"/{database}"


def shared_servers() -> Servers:
    """Those that run already, else new ones; waits for another worker that is starting them."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    with _locked(folder / "lock"):
        noted = folder / "servers.json"
        if not noted.exists():
            servers = _start(folder)
            asyncio.run(make_template(servers))
            noted.write_text(json.dumps(asdict(servers)))
        return Servers(**json.loads(noted.read_text()))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start(folder: Path) -> Servers:
    if docker.is_answering():
        return Servers(*docker.start(folder))
    kafka = embedded_kafka.EmbeddedKafka(
        folder / "kafka", port=free_port(), controller_port=free_port(), on_progress=print
    )
    kafka.start(deadline_seconds=300)
    postgres = embedded_postgres.EmbeddedPostgres(folder / "postgres", port=free_port(), durable=False)
    postgres.start()
    return Servers(kafka.bootstrap_servers, postgres.url)


async def make_template(servers: Servers) -> None:
    """The database that each test's own is cloned from, migrated."""
    connection = await asyncpg.connect(servers.database_url)
    try:
        await connection.execute(f'create database "{TEMPLATE}"')
    finally:
        await connection.close()
    settings = CommonSettings.model_validate(
        {
            "app_env": "test",
            "app_secret": APP_SECRET,
            "database_url": servers.url_of(TEMPLATE),
            "kafka_bootstrap_servers": servers.kafka_bootstrap_servers,
        }
    )
    for service in SERVICES:
        await migrate(service, settings)


def stop_shared_servers(folder: Path) -> None:
    """By the session's controller, once all workers are done."""
    docker.stop(folder)
    for module, name in ((embedded_kafka, "kafka"), (embedded_postgres, "postgres")):
        if (folder / name).exists():
            module.stop_leftover(folder / name)
