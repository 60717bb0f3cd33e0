"""Everything the simulator knows, in memory, written through to one SQLite file.

A change is first made in memory; `flush` writes all changed records in one transaction. Whoever answers a
caller or sends a webhook flushes before, so that nothing that was told can be forgotten by a kill -9.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]
"""A Stripe object as JSON, or a row of the simulator's own; `object` says which, `id` names it."""

_TABLE = """
create table if not exists records (
    kind text not null, id text not null, body text not null, primary key (kind, id)
)
"""
_WRITE = """
insert into records (kind, id, body) values (?, ?, ?)
on conflict (kind, id) do update set body = excluded.body
"""


class Store:
    """Records by kind and id, in order of creation."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(data_dir / "stripe.sqlite3", isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        # What is written survives the death of this process; only a power cut may lose the last moments.
        self._database.execute("pragma synchronous = off")
        self._database.execute(_TABLE)
        self._records: defaultdict[str, dict[str, Record]] = defaultdict(dict)
        self._changed: dict[tuple[str, str], None] = {}
        self._deleted: set[tuple[str, str]] = set()
        for kind, key, body in self._database.execute("select kind, id, body from records order by rowid"):
            self._records[kind][key] = json.loads(body)

    def put(self, record: Record) -> Record:
        key = (record["object"], record["id"])
        self._records[key[0]][key[1]] = record
        self._changed[key] = None
        self._deleted.discard(key)
        return record

    def find(self, kind: str, key: str) -> Record | None:
        return self._records[kind].get(key)

    def delete(self, kind: str, key: str) -> None:
        self._records[kind].pop(key, None)
        self._changed.pop((kind, key), None)
        self._deleted.add((kind, key))

    def oldest_first(self, kind: str) -> Iterator[Record]:
        return iter(self._records[kind].values())

    def newest_first(self, kind: str) -> Iterator[Record]:
        return reversed(self._records[kind].values())

    def count(self, kind: str) -> int:
        return len(self._records[kind])

    def kinds(self) -> list[str]:
        return sorted(kind for kind, records in self._records.items() if records)

    def flush(self) -> None:
        """Write what changed since the last flush, all or nothing."""
        if not self._changed and not self._deleted:
            return
        rows = [(kind, key, json.dumps(self._records[kind][key])) for kind, key in self._changed]
        self._database.execute("begin")
        self._database.executemany("delete from records where kind = ? and id = ?", list(self._deleted))
        self._database.executemany(_WRITE, rows)
        self._database.execute("commit")
        self._changed.clear()
        self._deleted.clear()

    def close(self) -> None:
        self.flush()
        self._database.close()
