"""A company's lines: where they stand, who decides next, what was done to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Uow
from libs.common.envelope import Envelope
from services.billing.domain import Decision, Lines, LineState


@dataclass(frozen=True, slots=True)
class LinesRow:
    """Lines as stored. `fence` is the claim's number; `due_at` what the claim is about."""

    company_id: UUID
    lines: Lines
    policy_version: str | None
    due_at: datetime | None
    fence: int
    failures: int
    causation_id: UUID | None
    traceparent: str | None


_COLUMNS = """
    company_id, state, episode, is_unpaid, changed_at, policy_version, due_at, fence, failures, causation_id,
    traceparent
"""

# A new episode where none goes on; the same as `domain.begun`.
_BEGIN = text("""
    insert into company_lines as l (company_id, state, episode, is_unpaid, changed_at)
    values (:company_id, 'normal', 1, true, :now)
    on conflict (company_id) do update
    set state = 'normal', episode = l.episode + 1, is_unpaid = true, changed_at = excluded.changed_at
    where not l.is_unpaid
""")

_FIND = text(f"select {_COLUMNS} from company_lines where company_id = :company_id for update")  # noqa: S608

_CLAIM = text(f"""
    update company_lines
    set fence = fence + 1, lease_until = now() + make_interval(secs => :lease_seconds)
    where company_id in (
        select company_id from company_lines
        where due_at <= now() and (lease_until is null or lease_until <= now())
        order by due_at limit :limit for update skip locked
    )
    returning {_COLUMNS}
""")  # noqa: S608

# Held in sorted order, like everything that takes many companies at once.
_MARK_DUE = text("""
    with heard as (
        select * from unnest(
            cast(:company_ids as uuid[]), cast(:causation_ids as uuid[]), cast(:traceparents as text[])
        ) as h (company_id, causation_id, traceparent)
    ), locked as (
        insert into streams (key, revision)
        select cast(company_id as text) as key, 0 from heard order by key
        on conflict (key) do update set revision = streams.revision
        returning key
    )
    insert into company_lines as l (company_id, state, episode, is_unpaid, due_at, causation_id, traceparent)
    select company_id, 'normal', 0, false, now(), causation_id, traceparent
    from heard join locked on locked.key = cast(company_id as text) order by company_id
    on conflict (company_id) do update
    set due_at = now(), failures = 0, causation_id = excluded.causation_id, traceparent = excluded.traceparent
""")

# Whatever became due while it was worked stays due.
_RELEASE = text("""
    update company_lines
    set lease_until = null, failures = 0, last_failure = null,
        due_at = case when due_at is not distinct from cast(:due_at as timestamptz) then null else due_at end
    where company_id = :company_id and fence = :fence
""")

_POSTPONE = text("""
    update company_lines
    set lease_until = null, due_at = now() + make_interval(secs => :wait_seconds), failures = failures + 1,
        last_failure = :failure
    where company_id = :company_id and fence = :fence
""")

_SAVE = text("""
    insert into company_lines (company_id, state, episode, is_unpaid, changed_at, policy_version)
    values (:company_id, :state, :episode, :is_unpaid, :changed_at, :policy_version)
    on conflict (company_id) do update
    set state = excluded.state, episode = excluded.episode, is_unpaid = excluded.is_unpaid,
        changed_at = excluded.changed_at, policy_version = excluded.policy_version
""")

_NOTE_DECISION = text("""
    update company_lines set decided_at = :now, verdict = :verdict, why = :why, next_at = :next_at
    where company_id = :company_id
""")

_COUNT_OPEN_CASES = text("""
    select count(*) from dunning_cases where company_id = :company_id and state <> 'closed'
""")

_ADD_CHANGE = text("""
    insert into line_changes (company_id, episode, state, at, why, policy_version, invoice_ids,
                              notice_delivery_id, causation_id)
    values (:company_id, :episode, :state, :at, :why, :policy_version, :invoice_ids, :notice_delivery_id,
            :causation_id)
    on conflict do nothing
""")

_ADD_QUESTION = text("""
    insert into line_questions (company_id, episode, why, asked_at)
    values (:company_id, :episode, :why, :now)
    on conflict (company_id, episode) do update set settled_at = null, why = excluded.why
    where line_questions.settled_at is not null
    returning company_id
""")

_SETTLE_QUESTIONS = text("""
    update line_questions set settled_at = :now where company_id = :company_id and settled_at is null
""")

_COUNT_QUESTIONS = text("select count(*) from line_questions where settled_at is null")


def _lines_row(row: Any) -> LinesRow:
    return LinesRow(
        company_id=row.company_id,
        lines=Lines(LineState(row.state), row.episode, row.is_unpaid, row.changed_at),
        policy_version=row.policy_version,
        due_at=row.due_at,
        fence=row.fence,
        failures=row.failures,
        causation_id=row.causation_id,
        traceparent=row.traceparent,
    )


def begin_episode(uow: Uow, company_id: UUID) -> None:
    """A case opened; nothing waits for it, so it is stored at the end of the transaction."""
    uow.add_later(_BEGIN, {"company_id": company_id, "now": uow.now})


async def find_lines(session: AsyncSession, company_id: UUID) -> LinesRow | None:
    """Locked until the end of the transaction. Hold the company's stream first."""
    row = (await session.execute(_FIND, {"company_id": company_id})).one_or_none()
    return None if row is None else _lines_row(row)


async def claim_due_lines(session: AsyncSession, *, limit: int, lease_seconds: float) -> list[LinesRow]:
    rows = await session.execute(_CLAIM, {"limit": limit, "lease_seconds": lease_seconds})
    return [_lines_row(row) for row in rows]


async def mark_due(session: AsyncSession, causes: Mapping[UUID, Envelope | None]) -> None:
    """These companies are to be decided on, now; they are held until the end of the transaction."""
    values = {
        "company_ids": list(causes),
        "causation_ids": [cause and cause.event_id for cause in causes.values()],
        "traceparents": [cause and cause.traceparent for cause in causes.values()],
    }
    await session.execute(_MARK_DUE, values)


async def release_lines(session: AsyncSession, row: LinesRow) -> None:
    values = {"company_id": row.company_id, "fence": row.fence, "due_at": row.due_at}
    await session.execute(_RELEASE, values)


async def postpone_lines(session: AsyncSession, row: LinesRow, *, wait_seconds: float, failure: str) -> None:
    values = {"company_id": row.company_id, "fence": row.fence}
    await session.execute(_POSTPONE, values | {"wait_seconds": wait_seconds, "failure": failure})


async def save_lines(
    session: AsyncSession, company_id: UUID, lines: Lines, policy_version: str | None
) -> None:
    values = {
        "company_id": company_id,
        "state": lines.state,
        "episode": lines.episode,
        "is_unpaid": lines.is_unpaid,
        "changed_at": lines.changed_at,
        "policy_version": policy_version,
    }
    await session.execute(_SAVE, values)


async def mark_decided(session: AsyncSession, company_id: UUID, decision: Decision, now: datetime) -> None:
    """For people who ask what was thought."""
    values = {"company_id": company_id, "verdict": decision.verdict, "why": decision.why}
    await session.execute(_NOTE_DECISION, values | {"next_at": decision.next_at, "now": now})


async def count_open_cases(session: AsyncSession, company_id: UUID) -> int:
    return int((await session.execute(_COUNT_OPEN_CASES, {"company_id": company_id})).scalar_one())


async def add_change(
    session: AsyncSession,
    company_id: UUID,
    lines: Lines,
    *,
    why: str,
    policy_version: str,
    invoice_ids: Sequence[str] = (),
    notice_delivery_id: UUID | None = None,
    causation_id: UUID | None = None,
) -> None:
    """What was done, beside the fact that tells it."""
    values = {
        "company_id": company_id,
        "episode": lines.episode,
        "state": lines.state,
        "at": lines.changed_at,
        "why": why,
        "policy_version": policy_version,
        "invoice_ids": list(invoice_ids),
        "notice_delivery_id": notice_delivery_id,
        "causation_id": causation_id,
    }
    await session.execute(_ADD_CHANGE, values)


async def add_question(
    session: AsyncSession, company_id: UUID, episode: int, why: str, now: datetime
) -> bool:
    """Answers whether it is new."""
    values = {"company_id": company_id, "episode": episode, "why": why, "now": now}
    return (await session.execute(_ADD_QUESTION, values)).first() is not None


async def settle_questions(session: AsyncSession, company_id: UUID, now: datetime) -> None:
    await session.execute(_SETTLE_QUESTIONS, {"company_id": company_id, "now": now})


async def count_questions(session: AsyncSession) -> int:
    return int((await session.execute(_COUNT_QUESTIONS)).scalar_one())
