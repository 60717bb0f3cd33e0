"""Stripe's parameters: `a[b][c]=v` as nested values, read by type."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from libs.devstack.stripe_simulator.errors import invalid, missing_parameter

_KEY_PART = re.compile(r"\[([^\]]*)\]")


def decode(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Nested dictionaries and lists of strings: `a[0][b]`, `a[]` and `a[b]` are all understood."""
    root: dict[str, Any] = {}
    for key, value in pairs:
        head = key.split("[", 1)[0]
        _place(root, [head, *_KEY_PART.findall(key[len(head) :])], value)
    return {key: _lists(value) for key, value in root.items()}


def _place(node: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            raise invalid(f"Invalid parameter: {path[0]}", param=path[0])
        node = child
    node[path[-1] or str(len(node))] = value


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(child) for key, child in value.items()}
    if inner and all(key.isdigit() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


class Params(Mapping[str, Any]):
    """The parameters of a call, read by type. An empty string means: unset this."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def text(self, name: str, default: str | None = None) -> str | None:
        """The value; None when it is absent or empty (unset)."""
        value = self._values.get(name, default)
        return str(value) if value not in (None, "") else None

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing_parameter(name)
        return value

    def integer(self, name: str, default: int | None = None) -> int | None:
        value = self.text(name)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name) from None

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.text(name)
        return default if value is None else value in ("true", "True", "1")

    def table(self, name: str) -> "Params":
        value = self._values.get(name)
        return Params(value if isinstance(value, dict) else {})

    def rows(self, name: str) -> list["Params"]:
        value = self._values.get(name)
        return [Params(row) for row in value if isinstance(row, dict)] if isinstance(value, list) else []

    def texts(self, name: str) -> list[str]:
        value = self._values.get(name)
        if isinstance(value, list):
            return [str(item) for item in value]
        return [str(value)] if value not in (None, "", {}) else []


def merged_metadata(old: Mapping[str, str], params: Params) -> dict[str, str]:
    """Metadata after a call: keys are merged, an empty value removes one, `metadata=''` removes all."""
    if params.get("metadata") == "":
        return {}
    merged = {**old, **{key: str(value) for key, value in params.table("metadata").items()}}
    return {key: value for key, value in merged.items() if value != ""}
