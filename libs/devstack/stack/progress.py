"""What is said while one waits: lines, and on a terminal a living line of what is under way."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

HEARTBEAT_SECONDS = 10.0


class Progress:
    """Says things in French on stderr; safe to use from several threads."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self._guard = threading.Lock()
        self._under_way: dict[str, tuple[float, str]] = {}
        self._spinner = Spinner("dots")
        self._live: Live | None = None
        self._is_over = threading.Event()

    def __enter__(self) -> Progress:
        """From here on nobody stares at a still screen."""
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._living_line,
                console=self._console,
                transient=True,
                refresh_per_second=8,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        else:
            threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.calm_down()

    def calm_down(self) -> None:
        """No living line any more; lines may still be said."""
        self._is_over.set()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _living_line(self) -> Spinner | Text:
        if not self._under_way:
            return Text("")
        self._spinner.update(text=Text(self._summary(), style="dim"))
        return self._spinner

    def _summary(self) -> str:
        now = time.monotonic()
        with self._guard:
            return " · ".join(
                f"{what} {detail or f'({now - since:.0f} s)'}"
                for what, (since, detail) in self._under_way.items()
            )

    def _beat(self) -> None:
        while not self._is_over.wait(HEARTBEAT_SECONDS):
            if self._under_way:
                self.say(f"… en cours : {self._summary()}")

    def say(self, text: str) -> None:
        self._print(Text(text))

    def done(self, text: str) -> None:
        self._print(Text.assemble(("✓ ", "bold green"), text))

    def warn(self, text: str) -> None:
        self._print(Text.assemble(("! ", "bold yellow"), text))

    def fail(self, text: str) -> None:
        self._print(Text.assemble(("✗ ", "bold red"), text))

    def _print(self, text: Text) -> None:
        self._console.print(text)

    @contextmanager
    def step(self, what: str, done: str = "") -> Iterator[None]:
        """Shown as under way, then as done with the seconds it took."""
        since = time.monotonic()
        with self._guard:
            self._under_way[what] = (since, "")
        try:
            yield
        finally:
            with self._guard:
                del self._under_way[what]
        took = f"{time.monotonic() - since:.1f} s".replace(".", ",")
        self.done(f"{what:<28} {done:<44} {took}")

    def detail(self, what: str, text: str) -> None:
        """More about a step under way."""
        with self._guard:
            if what in self._under_way:
                self._under_way[what] = (self._under_way[what][0], text)
        if not self._console.is_terminal:
            self.say(f"  {what} : {text}")
