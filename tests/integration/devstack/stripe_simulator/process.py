"""The simulator as the process that `make up` starts."""

import asyncio
import json
import signal
import sys
from pathlib import Path

_READY_SECONDS = 20


class SimulatorProcess:
    """Starts on `port` with the data in `data_dir`; may be killed and started again."""

    def __init__(self, port: int, data_dir: Path, *options: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._arguments = ["--port", str(port), "--data", str(data_dir), *options]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "libs.devstack.stripe_simulator", *self._arguments, *options]
        self._process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert self._process.stdout
        async with asyncio.timeout(_READY_SECONDS):
            line = json.loads(await self._process.stdout.readline())
        assert line == {"ready": True, "url": self.url, "pid": self._process.pid}

    async def kill(self) -> None:
        assert self._process
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        """The exit code after a SIGTERM."""
        assert self._process
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(_READY_SECONDS):
            return await self._process.wait()
