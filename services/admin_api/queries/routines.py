"""What was heard of the scheduler's routines, and which of them are silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.envelope import Envelope

# All that is told of a routine is on its key, so that revisions order it.
_FOLD_ROUTINES = text("""
    insert into routines as r (routine, expected_by, what, at, revision, event_id)
    select distinct on (routine) routine, expected_by, what, at, revision, event_id
    from unnest(
        cast(:routines as text[]), cast(:expected_by as timestamptz[]), cast(:whats as text[]),
        cast(:at as timestamptz[]), cast(:revisions as bigint[]), cast(:event_ids as uuid[])
    ) as heard (routine, expected_by, what, at, revision, event_id)
    order by routine, revision desc, event_id desc
    on conflict (routine) do update set
        expected_by = excluded.expected_by, what = excluded.what, at = excluded.at,
        revision = excluded.revision, event_id = excluded.event_id
    where (r.revision, r.event_id) < (excluded.revision, excluded.event_id)
""")

_LIST_ROUTINES = text("select routine, expected_by, what, at from routines order by routine")

_MARK_ALARMED = text("""
    update routines set alarmed_for = expected_by
    where routine = :routine and expected_by = :expected_by and alarmed_for is distinct from expected_by
    returning routine
""")


@dataclass(frozen=True, slots=True)
class RoutineState:
    """What one fact says of a routine."""

    routine: str
    expected_by: datetime | None
    what: str
    at: datetime
    envelope: Envelope


async def fold_routines(session: AsyncSession, states: Sequence[RoutineState]) -> None:
    values = {
        "routines": [s.routine for s in states],
        "expected_by": [s.expected_by for s in states],
        "whats": [s.what for s in states],
        "at": [s.at for s in states],
        "revisions": [s.envelope.revision or 0 for s in states],
        "event_ids": [s.envelope.event_id for s in states],
    }
    await session.execute(_FOLD_ROUTINES, values)


async def list_routines(session: AsyncSession) -> list[Row[Any]]:
    """All that were heard of: `routine`, `expected_by`, `what`, `at`."""
    return list((await session.execute(_LIST_ROUTINES)).all())


async def mark_alarmed(session: AsyncSession, routine: str, expected_by: datetime) -> bool:
    """Whether nobody has alarmed about this silence yet."""
    values = {"routine": routine, "expected_by": expected_by}
    return (await session.execute(_MARK_ALARMED, values)).first() is not None
