"""One service as its users run it: the installed `relance run`, a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from libs.devstack.ports import free_port
from tests.world import QUICK, World, until

RELANCE = Path(sys.executable).parent / "relance"
KEPT = ("PATH", "HOME", "LANG")


@dataclass
class ServiceProcess:
    """It runs; its log is a file of JSON lines."""

    process: asyncio.subprocess.Process
    http: httpx.AsyncClient
    output: Path

    def lines(self) -> list[dict[str, Any]]:
        """Of the log, so far."""
        *whole, _ = self.output.read_text().split("\n")
        return [json.loads(line) for line in whole if line.startswith("{")]

    def said(self, words: str) -> list[str]:
        return [line["message"] for line in self.lines() if words in line["message"]]

    async def until_said(self, words: str) -> str:
        async def look() -> list[str]:
            return self.said(words)

        return (await until(look, seconds=40, what=f"the log line {words!r}"))[0]

    async def readiness(self) -> tuple[int, dict[str, str]]:
        """Status and words of `/readyz`; 0 while nobody listens."""
        try:
            answer = await self.http.get("/readyz")
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()

    async def until_ready(self) -> None:
        async def look() -> bool:
            assert self.process.returncode is None, self.output.read_text()[-3000:]
            return (await self.readiness())[0] == 200

        await until(look, seconds=40, what="readiness")

    async def exit_code(self) -> int:
        async with asyncio.timeout(40):
            return await self.process.wait()


def environment_of(world: World, **changed: object) -> dict[str, str]:
    """The settings of the world as environment variables; fields by name, None for one that is not set."""
    values: Mapping[str, object] = {
        **QUICK,
        "database_url": world.database_url,
        "kafka_bootstrap_servers": world.kafka_bootstrap_servers,
        "kafka_topic_prefix": world.prefix,
        **changed,
    }
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {name.upper(): str(value) for name, value in values.items() if value is not None}


@asynccontextmanager
async def service_process(
    world: World, service: str, folder: Path, doors: str | None = None, /, **changed: object
) -> AsyncIterator[ServiceProcess]:
    """`relance run SERVICE` with the settings of the world; killed at the end if it is still there.

    `doors` are those that it opens, such as `kafka,clock`; None: all of them.
    """
    port, output = changed.pop(f"{service}_port", None) or free_port(), folder / f"{service}.log"
    environment = environment_of(world, **{f"{service}_port": port}, **changed)
    chosen = [] if doors is None else ["--doors", doors]
    with output.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            RELANCE, "run", service, *chosen, env=environment, stdout=log, stderr=log, cwd=folder
        )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        try:
            yield ServiceProcess(process, http, output)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
                await process.wait()
