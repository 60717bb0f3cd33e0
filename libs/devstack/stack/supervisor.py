"""Starts parts, starts again those that die (and says so), stops them layer by layer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from libs.devstack.errors import DevstackFailure
from libs.devstack.stack.parts import Part, describe_exit
from libs.devstack.stack.progress import Progress

LOOK_SECONDS = 0.1
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 10.0
SETTLED_SECONDS = 20.0
"""One that lived so long is started again without a wait."""

DEATHS_SHOWN = 3
"""So many in a row, and the end of its log is shown: nobody should have to look for it."""

MISCONFIGURED_EXIT_CODE = 78
FINISHING_SECONDS = 8.0

Note = Callable[[str, int | None], None]
"""Told that a part of that name runs as that pid, or with None that it was stopped."""


class Stopping(Exception):
    """Somebody asked to stop: what is under way is left."""


class Supervisor:
    """Parts run from `start` to `stop`; one thread each looks after them."""

    def __init__(self, progress: Progress, note: Note) -> None:
        self._progress = progress
        self._note = note
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._parts: list[Part] = []
        self._keepers: list[threading.Thread] = []
        self._given_up: set[str] = set()

    def check(self) -> None:
        """Raises Stopping once a stop was asked for."""
        if self._stopping.is_set():
            raise Stopping

    def start(self, part: Part) -> None:
        """Starts it and keeps it running. Raises DevstackFailure, or Stopping."""
        self.check()
        with self._guard:
            self._parts.append(part)
        part.start()
        self._note(part.name, part.pid)
        keeper = threading.Thread(target=self._keep, args=(part,), name=f"keeper of {part.name}", daemon=True)
        self._keepers.append(keeper)
        keeper.start()

    def _keep(self, part: Part) -> None:
        wait_seconds, started_at, deaths = FIRST_WAIT_SECONDS, time.monotonic(), 0
        while not self._stopping.wait(LOOK_SECONDS):
            if part.pid is not None:
                continue
            if part.exit_code == MISCONFIGURED_EXIT_CODE:
                self._give_up(part)
                return
            if time.monotonic() - started_at > SETTLED_SECONDS:
                wait_seconds, deaths = FIRST_WAIT_SECONDS, 0
            deaths += 1
            self._progress.warn(
                f"{part.label} s'est arrêté ({describe_exit(part.exit_code)}) : relancé dans "
                f"{_seconds(wait_seconds)}. Journal : {part.log_path}"
            )
            if deaths == DEATHS_SHOWN:
                self._progress.say(
                    f"Il meurt à chaque fois ; les dernières lignes de son journal :\n{part.tail()}"
                )
            if self._stopping.wait(wait_seconds):
                return
            wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)
            started_at = time.monotonic()
            self._start_again(part)

    def _start_again(self, part: Part) -> None:
        try:
            part.start()
        except (DevstackFailure, OSError) as failure:
            self._progress.warn(f"{part.label} ne redémarre pas : {failure}")
        else:
            self._note(part.name, part.pid)
            self._progress.done(f"{part.label} relancé (processus {part.pid})")

    def _give_up(self, part: Part) -> None:
        self._given_up.add(part.name)
        self._note(part.name, None)
        self._progress.fail(
            f"{part.label} refuse de démarrer, un réglage manque ou est faux :\n{part.tail()}\n"
            "Corrigez-le, puis recommencez."
        )

    def has_given_up(self, part: Part) -> bool:
        """Whether it ended saying that its settings are wrong: starting it again cannot help."""
        return part.name in self._given_up

    def ask_to_stop(self) -> None:
        """Nothing is started from now on."""
        self._stopping.set()

    def stop(self) -> None:
        """Layer by layer, each part politely, then not; returns when all are gone."""
        self.ask_to_stop()
        for keeper in self._keepers:
            keeper.join()
        for layer in sorted({part.layer for part in self._parts}):
            parts = [part for part in self._parts if part.layer == layer]
            with ThreadPoolExecutor(len(parts)) as threads:
                list(threads.map(self._stop_one, parts))

    def _stop_one(self, part: Part) -> None:
        with self._progress.step(f"Arrêt de {part.label}"):
            part.stop(FINISHING_SECONDS)
        self._note(part.name, None)

    def kill(self) -> None:
        """All at once, without a word to any of them."""
        self._stopping.set()
        for part in self._parts:
            part.kill()

    def wait(self) -> None:
        """Until every part was given up, or a stop was asked for."""
        for keeper in self._keepers:
            keeper.join()


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s".replace(".", ",")
