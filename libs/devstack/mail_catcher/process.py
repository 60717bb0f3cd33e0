"""The catcher as a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.devstack.errors import DevstackFailure
from libs.devstack.mail_catcher.control import MailCatcherControl
from libs.devstack.ports import free_port

START_SECONDS = 20.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class RunningCatcher:
    """A catcher that answers. `dsn` is what MAILER_DSN says for it."""

    process: asyncio.subprocess.Process
    dsn: str
    smtp_port: int
    control: MailCatcherControl


@asynccontextmanager
async def running_catcher(
    data: Path, *, smtp_port: int | None = None, http_port: int | None = None
) -> AsyncIterator[RunningCatcher]:
    """Starts it on the folder (the mails in it are kept) and ends it with SIGTERM.

    Raises DevstackFailure when it does not answer within 20 s.
    """
    smtp = smtp_port or free_port()
    http = http_port or free_port(avoid=(smtp,))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "libs.devstack.mail_catcher", "--data", str(data)),
        *("--smtp-port", str(smtp), "--http-port", str(http)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        ready = await _ready(process)
        async with MailCatcherControl(ready["http"]) as control:
            yield RunningCatcher(process, ready["smtp"], smtp, control)
    finally:
        await _end(process)


async def _ready(process: asyncio.subprocess.Process) -> dict[str, str]:
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    except TimeoutError as error:
        raise DevstackFailure("La boîte aux lettres ne répond pas après 20 s.") from error
    if not line:
        raise DevstackFailure("La boîte aux lettres s'est arrêtée au démarrage.")
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
