"""On which line of a TOML text a key stands: tomllib does not say, and people must find their mistake."""

from __future__ import annotations

import re
from collections import Counter

Path = tuple[str | int, ...]
"""Names from the top; an array of tables adds the position: ("stages", 2, "after_days")."""

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"^\s*([\w\-.\"']+)\s*=")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'')


class Places:
    """Line numbers, from 1."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._by_path: dict[Path, int] = {}
        self._read()

    def _read(self) -> None:
        table: Path = ()
        counts: Counter[Path] = Counter()
        depth = 0
        for number, line in enumerate(self._lines, start=1):
            bare = _STRING.sub('""', line).partition("#")[0]
            if depth == 0 and (header := _HEADER.match(line)):
                table = _names(header[2])
                if header[1] == "[[":
                    self._by_path.setdefault(table, number)
                    counts[table] += 1
                    table = (*table, counts[table] - 1)
                self._by_path.setdefault(table, number)
                continue
            if depth == 0 and (key := _KEY.match(line)):
                self._by_path.setdefault((*table, *_names(key[1])), number)
            depth += bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")

    def of(self, *path: str | int) -> int:
        """The line of the key; where it is missing, of the table that it should stand in, else the first."""
        while path and path not in self._by_path:
            path = path[:-1]
        return self._by_path.get(path, 1)

    def of_value(self, value: str, *path: str | int) -> int:
        """The line of one text in an array, at or after the line of its key."""
        first = self.of(*path)
        for number, line in enumerate(self._lines[first - 1 :], start=first):
            if f'"{value}"' in line or f"'{value}'" in line:
                return number
        return first


def _names(dotted: str) -> Path:
    return tuple(name.strip().strip("\"'") for name in dotted.split("."))
