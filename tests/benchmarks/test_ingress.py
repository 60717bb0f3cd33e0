"""The webhook's door against the bare floor: interleaved pairs, ratios judged, absolutes printed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

import httpx
import pytest

from libs.common.settings import CommonSettings
from libs.devstack.ports import free_port
from tests.benchmarks.load import Measured, requests, send_all
from tests.servers import Servers
from tests.world import QUICK, World, until

SECRET = "whsec_for_the_benchmark"
PAIRS = 5
REQUESTS = 3000
CONNECTIONS = 64

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]


@contextmanager
def process(command: Sequence[str], environment: dict[str, str] | None = None) -> Iterator[None]:
    running = subprocess.Popen(
        [sys.executable, "-m", *command], env=os.environ | (environment or {}), stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        running.terminate()
        running.wait(20)


async def _answers(port: int, path: str, status: int) -> bool:
    try:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{port}{path}")).status_code == status
    except httpx.TransportError:
        return False


async def test_the_ingress_against_the_bare_floor(world: World, servers: Servers) -> None:
    ours, floor = free_port(24_000), free_port(25_000)
    values = {name.upper(): str(value) for name, value in QUICK.items()} | {
        "KAFKA_BOOTSTRAP_SERVERS": servers.kafka_bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": world.prefix,
        "BILLING_DATABASE_URL": world.settings(CommonSettings).service_database_url("billing"),
        "BILLING_PORT": str(ours),
        "STRIPE_SK": "sk_test_1",
        "STRIPE_WEBHOOK_SECRETS": SECRET,
    }
    bare = [str(floor), servers.kafka_bootstrap_servers, f"{world.prefix}stripe.events", SECRET]
    with (
        process(["services.cli", "run", "billing", "--doors", "http"], values),
        process(["tests.benchmarks.floor", *bare]),
    ):
        await until(lambda: _answers(ours, "/readyz", 200), seconds=60, what="billing's door")
        await until(lambda: _answers(floor, "/", 500), seconds=60, what="the floor")
        for port in (ours, floor):
            await send_all(port, requests(1000, SECRET, f"w{port}_"), connections=CONNECTIONS)
        pairs: list[tuple[Measured, Measured]] = []
        for number in range(PAIRS):
            made = [requests(REQUESTS, SECRET, f"{who}{number}_") for who in ("o", "f")]
            pairs.append(
                (
                    await send_all(ours, made[0], connections=CONNECTIONS),
                    await send_all(floor, made[1], connections=CONNECTIONS),
                )
            )
    rate = median(a.rate / b.rate for a, b in pairs)
    p99 = median(a.p99_seconds / b.p99_seconds for a, b in pairs)
    for name, runs in (("ingress", [a for a, _ in pairs]), ("floor", [b for _, b in pairs])):
        p50 = median(r.p50_seconds for r in runs) * 1000
        p99_ms = median(r.p99_seconds for r in runs) * 1000
        print(f"{name:8} {median(r.rate for r in runs):6.0f}/s  p50 {p50:5.1f} ms  p99 {p99_ms:5.1f} ms")
    print(
        f"ratio    {rate:.2f} of the floor's rate, p99 {p99:.2f} times the floor's (median of {PAIRS} pairs)"
    )
    assert rate >= 0.75
    assert p99 <= 1.5
