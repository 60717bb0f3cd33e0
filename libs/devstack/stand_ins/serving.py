"""A stand-in as a process: a JSON line when its door is open, a clean end on SIGTERM; how it is started."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from libs.devstack.errors import DevstackFailure

SHUTDOWN_SECONDS = 3
START_SECONDS = 20.0
STOP_SECONDS = 10.0


class _Server(uvicorn.Server):
    ready_line = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(self.ready_line + "\n")
            sys.stdout.flush()


def parser(name: str) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog=f"python -m libs.devstack.{name}")
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--data", type=Path, required=True, help="folder of the books, which survive")
    options.add_argument("--host", default="127.0.0.1")
    return options


def serve(name: str, make_app: Callable[[argparse.Namespace], FastAPI]) -> None:
    """Until SIGTERM or SIGINT; exit code 0, or 1 when the door could not be opened."""
    # uvicorn sends itself the signal again once it has stopped: that must not look like an accident.
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop_signal, _leave)
    options = parser(name).parse_args()
    config = uvicorn.Config(
        make_app(options),
        host=options.host,
        port=options.port,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(config)
    server.ready_line = json.dumps({"ready": name, "url": f"http://{options.host}:{options.port}"})
    server.run()
    sys.exit(0 if server.started else 1)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


@asynccontextmanager
async def running(
    name: str, data: Path, *, port: int, environment: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The process and its address; what is in the folder is kept. Raises DevstackFailure when it does not
    answer within 20 s."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", f"libs.devstack.{name}", "--data", str(data), "--port", str(port)),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | dict(environment or {}),
    )
    try:
        yield process, await _url_of(name, process)
    finally:
        await _end(process)


async def _url_of(name: str, process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    except TimeoutError as error:
        raise DevstackFailure(f"{name} ne répond pas après {START_SECONDS:.0f} s.") from error
    if not line:
        raise DevstackFailure(f"{name} s'est arrêté au démarrage.")
    return str(json.loads(line)["url"])


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
