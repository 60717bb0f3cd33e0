"""The whole system as its users run it: the installed `relance up`, its processes, and what they can show."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.common.envelope import Envelope
from libs.devstack.mail_catcher.control import MailCatcherControl
from libs.devstack.ports import is_free
from libs.devstack.stack.plan import OFFSETS
from libs.devstack.stripe_simulator.control import SimulatorControl
from tests.world import until

READY_SECONDS = 240
STOP_SECONDS = 60
REST_SECONDS = 300
AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, httpx.HTTPError)


class Stack:
    """A running `relance up`; `addresses` are the words of its ready line."""

    def __init__(self, data: Path, addresses: dict[str, str], process: subprocess.Popen[str]) -> None:
        self.data = data
        self.addresses = addresses
        self.process = process
        self.stripe = SimulatorControl(addresses["stripe"], timeout_seconds=60)
        self.mails = MailCatcherControl(addresses["mails"])

    def pid_of(self, name: str) -> int:
        state = json.loads((self.data / "state.json").read_text())
        return int(state["processes"][name]["pid"])

    def kill(self, name: str) -> int:
        """kill -9; the supervisor starts it again."""
        pid = self.pid_of(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    async def rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """As the database's owner. Raises while PostgreSQL is away."""
        password = (self.data / "postgres" / "password").read_text().strip()
        url = f"postgresql://relance:{password}@127.0.0.1:{self.port_of('postgres')}/relance"
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return [dict(row) for row in await connection.fetch(sql, *args)]
        finally:
            await connection.close()

    def port_of(self, name: str) -> int:
        return int(json.loads((self.data / "state.json").read_text())["ports"][name])

    async def told(self, topic: str, event_type: str) -> list[Envelope]:
        """Every telling of a type on Kafka, repeated ones included."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.addresses["kafka"])
        await consumer.start()
        try:
            await consumer._client.force_metadata_update()
            await consumer.topics()
            partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
            assert partitions, f"{topic} is not there"
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            found: list[Envelope] = []
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found.extend(Envelope.read(r.key, r.value, r.headers) for r in records)
            return [envelope for envelope in found if envelope.type == event_type]
        finally:
            await consumer.stop()

    async def close(self) -> None:
        await self.stripe.close()
        await self.mails.close()


async def at_rest(stack: Stack) -> None:
    """Until every webhook was accepted and everything that it caused was worked, told and sent."""

    async def look() -> bool | str:
        try:
            state = await stack.stripe.state()
            [row] = await stack.rows(
                """select (select count(*) from billing.stripe_events where worked_at is not null) as worked,
                    (select count(*) from billing.inbox where status = 'pending') as billing_inbox,
                    (select count(*) from billing.dunning_cases where state = 'attempting') as cases,
                    (select count(*) from billing.outbox where told_at is null) as billing_outbox,
                    (select count(*) from billing.outbox where type = 'billing.invoice_unpaid.v1') as unpaid,
                    (select count(*) from notifications.inbox
                     where type = 'billing.invoice_unpaid.v1') as unpaid_heard,
                    (select count(*) from notifications.inbox where status = 'pending') as mail_inbox,
                    (select count(*) from notifications.deliveries
                     where status in ('pending', 'sending')) as deliveries,
                    (select count(*) from notifications.team_notices
                     where digest_id is null and dropped_at is null) as notices,
                    (select count(*) from notifications.outbox where told_at is null) as mail_outbox"""
            )
        except AWAY:
            return False
        is_worked = row["worked"] == sum(state.events.values()) and row["unpaid"] == row["unpaid_heard"]
        waiting = sum(v for k, v in row.items() if k not in ("worked", "unpaid", "unpaid_heard"))
        return state.deliveries.get("pending", 0) == 0 and is_worked and waiting == 0

    await until(look, seconds=REST_SECONDS, what="the stack to come to rest")
    await asyncio.sleep(1)  # what a last answer of Stripe's may still cause, before looking once more
    await until(look, seconds=REST_SECONDS, what="the stack to come to rest")


# Each worker begins elsewhere. From 20000 on, servers without a base pick their ports at random.
_BASES = itertools.cycle(range(10_000, 20_000, 100))
for _ in range(os.getpid() % 100):
    next(_BASES)


def free_base() -> int:
    """A first port that nobody was given yet here, with all the others free."""
    return next(base for base in _BASES if all(is_free(base + offset) for offset in OFFSETS.values()))


@asynccontextmanager
async def running_stack(data: Path, **environment: str) -> AsyncIterator[Stack]:
    """`relance up --no-demo` on a data folder; stopped by SIGTERM afterwards, which must be clean."""
    command = [
        str(Path(sys.executable).parent / "relance"),
        *("up", "--no-demo", "--data", str(data), "--port-base", str(free_base())),
    ]
    with data.with_suffix(".out").open("a+") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, text=True, env=os.environ | environment
        )
        try:
            stack = Stack(data, await _ready(process, Path(output.name)), process)
            yield stack
            await stack.close()
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                exit_code = process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert exit_code == 0, f"relance up ended with {exit_code}; see {output.name}"


async def _ready(process: subprocess.Popen[str], output: Path) -> dict[str, str]:
    async with asyncio.timeout(READY_SECONDS):
        while True:
            printed = output.read_text()
            for line in reversed(printed.splitlines()):
                if line.startswith("RELANCE READY"):
                    return dict(word.split("=", 1) for word in line.split()[2:])
            assert process.poll() is None, f"relance up ended early:\n{printed[-3000:]}"
            await asyncio.sleep(0.2)
