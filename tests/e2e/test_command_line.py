"""The words that people type: what there is, and what is said of a word that is not known."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.lives import RELANCE

ROOT = Path(__file__).parents[2]


def run(*command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_make_help_says_what_each_target_does() -> None:
    printed = run("make", "help")
    assert printed.returncode == 0
    targets = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split()
    for target in targets:
        assert re.search(rf"^  make {target} +\S.*", printed.stdout, re.MULTILINE), target
    assert run("make").stdout == printed.stdout


@pytest.mark.parametrize("target", ["up", "down", "reset"])
def test_make_hands_its_arguments_on(target: str) -> None:
    printed = run("make", "-n", target, "ARGS=--data elsewhere")
    assert re.search(rf"/relance {target} (--yes )?--data elsewhere$", printed.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["up", "--no-such-flag"], "No such option"),
        (["up", "elsewhere"], "unexpected extra argument (elsewhere)"),
        (["up", "--port-base", "80"], "80 is not in the range 1024<=x<=32000"),
        (["up", "--port-base", "many"], "'many' is not a valid integer"),
        (["up", "--demo", "--no-demo"], "--demo and --no-demo contradict each other"),
        (["down", "--yes"], "No such option"),
        (["run", "nobody"], "'nobody' is not one of 'billing', 'notifications'"),
        (["upp"], "No such command 'upp'"),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, list) else "",
)
def test_a_word_that_is_not_known_is_named_and_nothing_happens(
    words: list[str], complaint: str, folder: Path
) -> None:
    done = run(RELANCE, *words, folder=folder)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert words[-1] in done.stderr
    assert "Usage: relance" in done.stderr
    assert list(folder.iterdir()) == []


def test_down_and_reset_where_nothing_ever_ran_are_harmless(folder: Path) -> None:
    for words in (["down"], ["reset", "--yes"]):
        done = run(RELANCE, *words, "--data", str(folder / "data"), folder=folder)
        assert done.returncode == 0
        assert list(folder.iterdir()) == []
