"""A stand-in's books: in memory and in one file, so that what it knew when it was stopped, it knows again."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

B = TypeVar("B", bound=BaseModel)


class Store(Generic[B]):
    """`empty` is what it knows at first, and again when the file does not read."""

    def __init__(self, folder: Path, empty: B) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "books.json"
        self.books = self._load(empty)

    def _load(self, empty: B) -> B:
        try:
            return type(empty).model_validate_json(self._path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return empty

    def write(self, books: B) -> None:
        self.books = books
        written = self._path.with_suffix(".new")
        written.write_text(books.model_dump_json(), encoding="utf-8")
        written.replace(self._path)
