"""What `relance notifications explain` reads, changing nothing."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Database
from services.notifications import queries
from services.notifications.domain.explaining import Fact, Step, Story, explanation

_MESSAGE_ID = re.compile(r"<?([0-9a-f-]{36})@[^>]+>?", re.IGNORECASE)


async def explain(database: Database, word: str) -> list[str]:
    """In French; nothing where there is no such delivery. `word`: its id, its Message-ID or its dedup key."""
    async with database.begin() as uow:
        delivery_id = await _delivery_id(uow.session, word.strip())
        row = delivery_id and await queries.find_delivery(uow.session, delivery_id)
        return [] if not row else list(explanation(await _story(uow.session, row)))


async def _delivery_id(session: AsyncSession, word: str) -> UUID | None:
    match = _MESSAGE_ID.fullmatch(word)
    try:
        return UUID(match[1] if match else word)
    except ValueError:
        return await queries.find_delivery_id(session, word)


async def _story(session: AsyncSession, row: Row[Any]) -> Story:
    heard = await queries.find_fact(session, row.event_id)
    cause = None
    if heard is not None and heard.causation_id is not None:
        before = await queries.find_fact(session, heard.causation_id)
        cause = Fact(heard.causation_id) if before is None else _fact(before)
    same: dict[str, Any] = {name: getattr(row, name, None) for name in _SAME}
    return Story(
        **same,
        delivery_id=row.id,
        fact=Fact(row.event_id, row.event_type) if heard is None else _fact(heard),
        cause=cause,
        steps=[
            Step(state.status, state.why, state.answer, state.at)
            for state in await queries.list_states(session, row.id)
        ],
    )


_SAME = {field.name for field in fields(Story)} - {"delivery_id", "fact", "cause", "steps"}


def _fact(row: Row[Any]) -> Fact:
    return Fact(row.event_id, row.type, row.topic, row.occurred_at)
