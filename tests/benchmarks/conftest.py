"""What the benchmarks share: the figures of the run, printed together at its end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.benchmarks.figures import Figure, keep, table

KEPT = pytest.StashKey[list[Figure]]()

Note = Callable[[str, str, str], None]


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Notes a figure: what was measured, what is wanted, what was seen."""
    figures = request.config.stash.setdefault(KEPT, [])

    def add(what: str, wanted: str, measured: str) -> None:
        figures.append(Figure(what, wanted, measured))

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash.get(KEPT, [])
    if figures:
        keep(figures)
        terminalreporter.write_line("\n" + table(figures))
