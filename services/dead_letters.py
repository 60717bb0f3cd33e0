"""What `relance dead-letters` does: look at what a service set aside, have it worked again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.common import inbox
from services.service_database import database_of

SHOWN_CHARACTERS = 200


async def list_dead_letters(service: str, *, limit: int) -> list[str]:
    """One line each, oldest first: id, type, key, tries, when, why; and the beginning of its data."""
    async with database_of(service) as database, database.begin() as uow:
        rows = await inbox.list_dead(uow.session, limit=limit)
    return [_line(row) for row in rows] or [f"{service} has set aside nothing"]


def _line(row: Any) -> str:
    data = bytes(row.data)[:SHOWN_CHARACTERS].decode(errors="backslashreplace")
    return (
        f"{row.event_id}  {row.type}  key={row.key}  from={row.topic}/{row.partition}@{row.offset}  "
        f"tries={row.attempts}  set aside {row.done_at or row.received_at:%Y-%m-%d %H:%M:%S %Z}\n"
        f"    why:  {row.cause}\n"
        f"    data: {data}"
    )


async def replay_dead_letters(service: str, event_id: UUID | None) -> list[UUID]:
    """Marks one, or with None all, to be worked again; answers with the ids."""
    async with database_of(service) as database, database.begin() as uow:
        return await inbox.mark_pending_again(uow.session, event_id)
