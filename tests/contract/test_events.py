"""What travels on Kafka keeps its form: examples on file, schemas on file, no change that breaks a reader."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from libs.common.events import EVENTS, Event
from libs.common.events.schemas import FOLDER, incompatibilities, schema_of, write, written

EXAMPLES = Path(__file__).parent / "examples"


@pytest.mark.parametrize("event_type", EVENTS)
def test_the_example_on_file_parses_and_goes_round(event_type: str) -> None:
    data = (EXAMPLES / f"{event_type}.json").read_bytes()
    event_class = EVENTS[event_type]
    event = event_class.from_bytes(data)
    assert event_class.from_bytes(event.to_bytes()) == event
    assert json.loads(event.to_bytes()) == json.loads(data)
    assert event.key
    assert event.event_id == event_class.from_bytes(data).event_id


@pytest.mark.parametrize("folder", [EXAMPLES, FOLDER], ids=["examples", "schemas"])
def test_no_file_is_left_of_a_type_that_was_told_once(folder: Path) -> None:
    """A type that was told is in Kafka for a month and in the tellers' outboxes for good."""
    assert {file.stem for file in folder.glob("*.json")} == set(EVENTS)


@pytest.mark.parametrize("event_type", EVENTS)
def test_the_schema_on_file_is_that_of_the_class(event_type: str) -> None:
    """If it is not: `python -m libs.common.events.schemas`, which refuses what would break a reader."""
    on_file = (FOLDER / f"{event_type}.json").read_text(encoding="utf-8")
    schema = schema_of(EVENTS[event_type])
    assert incompatibilities(json.loads(on_file), schema) == []
    assert on_file == written(schema)


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.type)
def test_an_event_without_its_optional_fields_parses(event: type[Event]) -> None:
    example = json.loads((EXAMPLES / f"{event.type}.json").read_bytes())
    required = schema_of(event)["required"]
    event.from_bytes(json.dumps({name: example[name] for name in required}).encode())


UNPAID = schema_of(EVENTS["billing.invoice_unpaid.v1"])
MAY_BE_LISTED = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The schema with one place set; `None` takes it away."""
    schema: dict[str, Any] = copy.deepcopy(UNPAID)
    *way, last = path.split("/")
    place = schema
    for name in way:
        place = place[name]
    if value is None:
        place.pop(last)
    else:
        place[last] = value
    return schema


BREAKING = {
    "a field less": (changed("properties/stage", None), "stage was removed"),
    "another type": (changed("properties/stage", {"type": "string"}), "stage changed its type"),
    "another format": (changed("properties/deadline_at", {"type": "string"}), "deadline_at changed its type"),
    "may be null now": (changed("properties/currency", MAY_BE_LISTED), "currency changed its type"),
    "one more required": (changed("required", [*UNPAID["required"], "new"]), "new became required"),
    "one less required": (changed("required", UNPAID["required"][1:]), "may now be missing"),
    "a field less within": (
        changed("$defs/OpenInvoice/properties/number", None),
        "number was",
    ),
    "another type within": (
        changed("$defs/MethodTried/properties/outcome", {"type": "integer"}),
        "attempts[].outcome changed its type",
    ),
}


@pytest.mark.parametrize("name", BREAKING)
def test_a_change_that_breaks_a_reader_is_refused(name: str) -> None:
    schema, why = BREAKING[name]
    found = incompatibilities(UNPAID, schema)
    assert any(why in line for line in found), found


def test_an_optional_field_more_is_no_break() -> None:
    assert incompatibilities(UNPAID, changed("properties/listed_as", MAY_BE_LISTED)) == []
    assert incompatibilities(UNPAID, changed("description", "Better said.")) == []


def test_the_command_does_not_overwrite_what_it_refuses(tmp_path: Path) -> None:
    assert write(tmp_path) == []
    file = tmp_path / "billing.invoice_unpaid.v1.json"
    more = changed("properties/gone", {"type": "string"})
    file.write_text(written(more))
    [refused] = write(tmp_path)
    assert "billing.invoice_unpaid.v1: gone was removed" in refused
    assert json.loads(file.read_text()) == more
