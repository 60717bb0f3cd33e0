"""Read model: what was told of each company."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.envelope import Envelope

# A fact never changes: the first telling is kept, repeated ones say the same.
_FOLD_FACTS = text("""
    insert into company_facts (event_id, company_id, type, at, said, cause_id, traceparent)
    select distinct on (event_id) event_id, company_id, type, at, said, cause_id, traceparent
    from unnest(
        cast(:event_ids as uuid[]), cast(:company_ids as uuid[]), cast(:types as text[]),
        cast(:at as timestamptz[]), cast(:said as text[]), cast(:cause_ids as uuid[]),
        cast(:traceparents as text[])
    ) as heard (event_id, company_id, type, at, said, cause_id, traceparent)
    order by event_id
    on conflict (event_id) do nothing
""")


@dataclass(frozen=True, slots=True)
class FactHeard:
    """A fact of a company's, and what it says."""

    company_id: UUID
    said: str
    envelope: Envelope


async def fold_facts(session: AsyncSession, facts: Sequence[FactHeard]) -> None:
    values = {
        "event_ids": [fact.envelope.event_id for fact in facts],
        "company_ids": [fact.company_id for fact in facts],
        "types": [fact.envelope.type for fact in facts],
        "at": [fact.envelope.time for fact in facts],
        "said": [fact.said for fact in facts],
        "cause_ids": [fact.envelope.causation_id for fact in facts],
        "traceparents": [fact.envelope.traceparent for fact in facts],
    }
    await session.execute(_FOLD_FACTS, values)
