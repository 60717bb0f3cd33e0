"""Functions stay short; files too (test_house)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 60


def functions(room: str) -> Iterator[tuple[str, int]]:
    """Every function with its number of lines, docstring and decorators not counted."""
    for path in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.name}", _lines(node)


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    text = ast.get_docstring(node)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if text is not None else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


@pytest.mark.parametrize("room", ["libs", "services"])
def test_no_function_is_too_long(room: str) -> None:
    assert {name: lines for name, lines in functions(room) if lines > LONGEST} == {}


def test_nearly_all_functions_are_short() -> None:
    lengths = sorted(lines for room in ("libs", "services") for _, lines in functions(room))
    assert median(lengths) <= 10
    assert lengths[int(len(lengths) * 0.95)] <= 45
