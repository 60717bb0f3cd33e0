"""The platform's books: each company's lines, and the webhooks that came. In memory and in one file."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from libs.devstack.phone_platform.models import Books, Lines, Received

KEPT = 500
RELEASED = "number_released"


class LineStore:
    """What it knew when it was stopped, it knows again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "books.json"
        books = _load(self._path)
        self._lines = {lines.company_id: lines for lines in books.lines}
        self._received = deque(books.received, maxlen=KEPT)

    def books(self) -> Books:
        newest = sorted(self._lines.values(), key=lambda lines: lines.changed_at, reverse=True)
        return Books(lines=tuple(newest), received=tuple(self._received))

    def note(self, received: Received) -> None:
        self._received.appendleft(received)
        self._write()

    def do(self, webhook_id: str, data: dict[str, Any]) -> tuple[bool, str]:
        """Whether it is done, and what there is to say of it. The same webhook is done once; one that comes
        after a later one of its company is done no more."""
        lines = self._lines.get(data["company_id"]) or _unknown(data["company_id"])
        if webhook_id in lines.done:
            return True, "déjà fait"
        if data["order"] < lines.order:
            return False, "trop tard : un ordre plus récent a déjà été exécuté"
        self._lines[lines.company_id] = _changed(lines, webhook_id, data)
        self._write()
        return True, "fait"

    def _write(self) -> None:
        written = self._path.with_suffix(".new")
        written.write_text(self.books().model_dump_json(), encoding="utf-8")
        written.replace(self._path)


def _unknown(company_id: str) -> Lines:
    return Lines(company_id=company_id, changed_at=datetime.now(UTC))


def _changed(lines: Lines, webhook_id: str, data: dict[str, Any]) -> Lines:
    changes: dict[str, Any] = {
        "order": data["order"],
        "reachable": tuple(data["reachable"]),
        "changed_at": datetime.now(UTC),
        "done": (*lines.done, webhook_id),
    }
    if data["wanted"] == RELEASED:
        gone = set(data["numbers"])
        changes["numbers"] = tuple(n for n in lines.numbers if n not in gone)
        changes["released"] = tuple(sorted({*lines.released, *gone}))
    else:
        changes.update(state=data["wanted"], numbers=tuple(data["numbers"]), why=data["why"])
    return lines.model_copy(update=changes)


def _load(path: Path) -> Books:
    try:
        return Books.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return Books(lines=(), received=())
