"""The JSON Schema of every fact: `python -m libs.common.events.schemas` writes docs/events/<type>.json.

The files are what other people read and what a change is held against: a fact told last year must parse.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from libs.common.events import EVENTS
from libs.common.events.event import Event
from libs.common.events.stripe import StripeEventReceived

FOLDER = Path(__file__).parents[3] / "docs" / "events"

Schema = dict[str, Any]


def schema_of(event: type[Event]) -> Schema:
    """The value's schema, titled by its wire type. Stripe's own body is Stripe's to describe."""
    if issubclass(event, StripeEventReceived):
        required = ["id", "type", "data"]
        properties = {"id": {"type": "string"}, "type": {"type": "string"}, "data": {"type": "object"}}
        body: Schema = {"type": "object", "required": required, "properties": properties}
    else:
        body = event.model_json_schema()
    return body | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": event.type,
        "description": event.sentence(),
    }


def written(schema: Schema) -> str:
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """What a reader of the old facts, or an old reader of the new, would trip over; none may ever be told."""
    return list(_compare("", old, new, old, new))


def _compare(path: str, old: Schema, new: Schema, old_root: Schema, new_root: Schema) -> Iterator[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    if _kinds(old, old_root) != _kinds(new, new_root):
        yield f"{path or 'the value'} changed its type"
    yield from _compare_fields(path, old, new, old_root, new_root)
    for word in ("items", "additionalProperties"):
        if isinstance(old.get(word), dict) and isinstance(new.get(word), dict):
            yield from _compare(f"{path}[]", old[word], new[word], old_root, new_root)
    yield from _compare_branches(path, old, new, old_root, new_root)


def _compare_fields(path: str, old: Schema, new: Schema, old_root: Schema, new_root: Schema) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(before):
        here = f"{path}.{name}".lstrip(".")
        if name not in after:
            yield f"{here} was removed"
        else:
            yield from _compare(here, before[name], after[name], old_root, new_root)
    for name in sorted(set(new.get("required", [])) - set(old.get("required", []))):
        yield f"{path}.{name}".lstrip(".") + " became required"
    for name in sorted(set(old.get("required", [])) - set(new.get("required", []))):
        if name in after:
            yield f"{path}.{name}".lstrip(".") + " may now be missing"


def _compare_branches(
    path: str, old: Schema, new: Schema, old_root: Schema, new_root: Schema
) -> Iterator[str]:
    """Alternatives, such as a value or null, pairwise where there are as many."""
    before, after = old.get("anyOf", []), new.get("anyOf", [])
    if len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            yield from _compare(path, one, other, old_root, new_root)


def _resolved(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    return root["$defs"][reference.rsplit("/", 1)[1]] if reference else schema


def _kinds(schema: Schema, root: Schema) -> list[tuple[str, str]]:
    branches = [_resolved(branch, root) for branch in schema.get("anyOf", [schema])]
    return sorted((str(branch.get("type")), str(branch.get("format"))) for branch in branches)


def write(folder: Path = FOLDER) -> list[str]:
    """Write every schema that is new or compatible; answers what was refused, and why."""
    folder.mkdir(parents=True, exist_ok=True)
    refused: list[str] = []
    for event_type, event in EVENTS.items():
        file, schema = folder / f"{event_type}.json", schema_of(event)
        old = json.loads(file.read_text(encoding="utf-8")) if file.exists() else schema
        wrong = incompatibilities(old, schema)
        refused += [f"{event_type}: {why}; declare a new version of the type beside it" for why in wrong]
        if not wrong:
            file.write_text(written(schema), encoding="utf-8")
    return refused


if __name__ == "__main__":
    sys.exit("\n".join(write()) or 0)
