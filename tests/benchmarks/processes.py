"""Services as processes of their own, as they run in production, and when they are ready."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import httpx

from libs.common.settings import CommonSettings
from libs.devstack.ports import free_port
from tests.servers import Servers
from tests.world import QUICK, World, until

# One that was chosen may not be listened to yet when the next one is.
_PORTS = count(24_000, 50)


@contextmanager
def process(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m command`, ended afterwards."""
    running = subprocess.Popen(
        [sys.executable, "-m", *command], env=os.environ | (environment or {}), stdout=subprocess.DEVNULL
    )
    try:
        yield running
    finally:
        running.terminate()
        running.wait(20)


@dataclass(frozen=True)
class Running:
    """A service's process: where it listens, and which one it is."""

    port: int
    pid: int


@contextmanager
def service(name: str, world: World, servers: Servers, *arguments: str, **settings: str) -> Iterator[int]:
    """`relance run NAME` in a world of its own; yields its port."""
    with running(name, world, servers, *arguments, **settings) as one:
        yield one.port


@contextmanager
def running(name: str, world: World, servers: Servers, *arguments: str, **settings: str) -> Iterator[Running]:
    """The same; yields its process id too."""
    port = free_port(next(_PORTS))
    environment = {key.upper(): str(value) for key, value in QUICK.items()} | {
        "KAFKA_BOOTSTRAP_SERVERS": servers.kafka_bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": world.prefix,
        f"{name.upper()}_DATABASE_URL": world.settings(CommonSettings).service_database_url(name),
        f"{name.upper()}_PORT": str(port),
        **{key.upper(): value for key, value in settings.items()},
    }
    with process(["services.cli", "run", name, *arguments], environment) as started:
        yield Running(port, started.pid)


async def until_answers(port: int, path: str, status: int) -> None:
    async def look() -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://127.0.0.1:{port}{path}")).status_code == status
        except httpx.TransportError:
            return False

    await until(look, seconds=60, what=f"{status} from port {port}")
