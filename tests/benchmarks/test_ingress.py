"""The webhook's door against the bare floor: interleaved pairs, ratios judged, absolutes printed."""

from __future__ import annotations

from statistics import median

import pytest

from libs.devstack.ports import free_port
from tests.benchmarks.conftest import Note
from tests.benchmarks.load import Measured, requests, send_all
from tests.benchmarks.processes import process, service, until_answers
from tests.servers import Servers
from tests.world import World

SECRET = "whsec_for_the_benchmark"
PAIRS = 5
REQUESTS = 3000
CONNECTIONS = 64

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]


async def test_the_ingress_against_the_bare_floor(world: World, servers: Servers, note: Note) -> None:
    floor = free_port(25_000)
    bare = [str(floor), servers.kafka_bootstrap_servers, f"{world.prefix}stripe.events", SECRET]
    keys = {"stripe_sk": "sk_test_1", "stripe_webhook_secrets": SECRET}
    with (
        service("billing", world, servers, "--doors", "http", **keys) as ours,
        process(["tests.benchmarks.floor", *bare]),
    ):
        await until_answers(ours, "/readyz", 200)
        await until_answers(floor, "/", 404)
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
    seen = [_shown([a for a, _ in pairs]), _shown([b for _, b in pairs])]
    note("ingress: webhooks a second, ratio to the floor's", "≥ 0.75 (aim 0.9)", f"{rate:.2f}")
    note("ingress: p99, times the floor's", "≤ 1.5", f"{p99:.2f} ({seen[0]}; floor {seen[1]})")
    assert rate >= 0.75
    assert p99 <= 1.5


def _shown(runs: list[Measured]) -> str:
    p99_ms = median(run.p99_seconds for run in runs) * 1000
    return f"{median(run.rate for run in runs):.0f}/s, {p99_ms:.0f} ms"
