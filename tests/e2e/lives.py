"""The installed `relance up` as its users run it: what it prints, what works for it, how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from libs.devstack.stack.plan import NAMED_BY
from tests.fakes.stack import READY_SECONDS, STOP_SECONDS, Stack, free_base
from tests.world import until

BIN = Path(sys.executable).parent
RELANCE = str(BIN / "relance")
# Given but empty counts as not given, and a developer's `.env` does not fill it.
NOTHING_NAMED = dict.fromkeys(NAMED_BY.values(), "")

RESTART_SECONDS = 15 * 4
"""The promise is 15 s on a machine of one's own, where it takes 6 to 8 s. Here other tests and their servers
share the two cores: 8 to 15 s were seen, and 29 s with five processes waiting for each core."""


class Life:
    """One run of the command, in a process group of its own, from its launch to its end."""

    def __init__(
        self,
        data: Path,
        command: Sequence[str],
        environment: Mapping[str, str] = NOTHING_NAMED,
        *,
        folder: Path | None = None,
    ) -> None:
        self.data = data
        self.output = data.parent / f"{data.name}.{len(list(data.parent.glob('*.out')))}.out"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=folder or data.parent,
                env={**os.environ, **NOTHING_NAMED, **environment},
                start_new_session=True,
            )

    def printed(self) -> str:
        return self.output.read_text()

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    @property
    def addresses(self) -> dict[str, str]:
        """The words of the line that says that all is ready; empty before."""
        lines = [line for line in self.printed().splitlines() if line.startswith("RELANCE READY")]
        return dict(word.split("=", 1) for word in lines[-1].split()[2:]) if lines else {}

    async def ready(self, seconds: float = READY_SECONDS) -> Life:
        async def look() -> bool:
            is_ready = bool(self.addresses)
            assert is_ready or self.is_running, f"it ended early:\n{self.printed()[-3000:]}"
            return is_ready

        await until(look, seconds=seconds, what="RELANCE READY")
        return self

    @asynccontextmanager
    async def stack(self) -> AsyncIterator[Stack]:
        stack = Stack(self.data, self.addresses, self.process)
        try:
            yield stack
        finally:
            await stack.close()

    def family(self) -> list[psutil.Process]:
        """The command and all that descends from it, the command first."""
        command = psutil.Process(self.process.pid)
        return [command, *command.children(recursive=True)]

    def kill_all(self) -> list[psutil.Process]:
        """SIGKILL of the whole group: the command, its caretaker and every part."""
        family = self.family()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(STOP_SECONDS)
        return family

    def end(self, number: signal.Signals) -> int:
        """The signal to its process group, as a terminal sends it; answers with the exit code."""
        os.killpg(self.process.pid, number)
        return self.process.wait(STOP_SECONDS)


class Home:
    """A data folder and the lives that `relance up` has on it, one after the other: always one command."""

    def __init__(self, folder: Path, *options: str, environment: Mapping[str, str] = NOTHING_NAMED) -> None:
        self.data = folder / "data"
        self.base = free_base()
        self.lives: list[Life] = []
        self._options = options
        self.environment = environment

    @property
    def command(self) -> list[str]:
        return [RELANCE, "up", *self._options, "--data", str(self.data), "--port-base", str(self.base)]

    async def life(self) -> Life:
        """The one that runs, else the next one."""
        return self.lives[-1] if self.lives and self.lives[-1].is_running else await self.start()

    async def start(self, seconds: float = READY_SECONDS) -> Life:
        """The same command once more."""
        self.lives.append(Life(self.data, self.command, self.environment))
        return await self.lives[-1].ready(seconds)

    def do(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another sub-command on the same data folder, to its end; its output in one piece."""
        return subprocess.run(
            [RELANCE, *words, "--data", str(self.data)],
            cwd=self.data.parent,
            env=os.environ | NOTHING_NAMED,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=STOP_SECONDS,
        )

    def close(self) -> None:
        """Ends what runs: cleanly, or the test has failed; nothing may be left in either case."""
        try:
            if self.lives and self.lives[-1].is_running:
                assert self.lives[-1].end(signal.SIGTERM) == 0, self.lives[-1].printed()[-3000:]
            assert not at_work_on(self.data)
        finally:
            for process in at_work_on(self.data):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


def at_work_on(data: Path) -> list[psutil.Process]:
    """Every living process, whoever started it, that works in the data folder or was told of it."""
    return list(_at_work_on(data.resolve()))


def _at_work_on(data: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            cwd = Path(process.cwd())
            if cwd == data or data in cwd.parents or any(str(data) in word for word in process.cmdline()):
                yield process


def is_gone(process: psutil.Process) -> bool:
    """Whether it ended; who should collect its remains is not ours to ask."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
