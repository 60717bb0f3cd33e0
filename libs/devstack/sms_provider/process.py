"""The stand-in as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.devstack.errors import DevstackFailure
from libs.devstack.ports import free_port
from libs.devstack.sms_provider.control import SmsProviderControl

START_SECONDS = 20.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class RunningSmsProvider:
    """A stand-in that answers."""

    process: asyncio.subprocess.Process
    port: int
    control: SmsProviderControl


@asynccontextmanager
async def running_sms_provider(
    data: Path, key: str, *, port: int | None = None
) -> AsyncIterator[RunningSmsProvider]:
    """Starts it on the folder (what is in it is kept) and ends it with SIGTERM.

    Raises DevstackFailure when it does not answer within 20 s.
    """
    chosen = port or free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "libs.devstack.sms_provider", "--data", str(data), "--port", str(chosen)),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"SMS_MODE_KEY": key},
    )
    try:
        ready = await _ready(process)
        async with SmsProviderControl(ready["url"]) as control:
            yield RunningSmsProvider(process, chosen, control)
    finally:
        await _end(process)


async def _ready(process: asyncio.subprocess.Process) -> dict[str, str]:
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    except TimeoutError as error:
        raise DevstackFailure("Le fournisseur de SMS simulé ne répond pas après 20 s.") from error
    if not line:
        raise DevstackFailure("Le fournisseur de SMS simulé s'est arrêté au démarrage.")
    ready: dict[str, str] = json.loads(line)
    return ready


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
