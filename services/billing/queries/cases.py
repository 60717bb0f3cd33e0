"""Dunning's rows: cases, cycles, attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.billing.domain import Case, CaseState


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case as stored. `fence` is the claim's number: a write under an older one changes nothing."""

    invoice_id: str
    stripe_customer_id: str
    company_id: UUID
    case: Case
    opened_at: datetime
    fence: int
    failures: int
    causation_id: UUID
    traceparent: str | None


_COLUMNS = """
    invoice_id, stripe_customer_id, company_id, state, attempt_count, queued_attempt_count, is_trying,
    is_paid_seen, closed_why, opened_at, fence, failures, causation_id, traceparent
"""

_LIST = text(f"""
    select {_COLUMNS} from dunning_cases where invoice_id = any(cast(:invoice_ids as text[]))
    order by invoice_id for update
""")  # noqa: S608

_LIST_KNOWN = text("""
    select invoice_id from dunning_cases where invoice_id = any(cast(:invoice_ids as text[]))
""")

_CLAIM = text(f"""
    update dunning_cases set fence = fence + 1, lease_until = now() + make_interval(secs => :lease_seconds)
    where invoice_id in (
        select invoice_id from dunning_cases
        where state = 'attempting' and due_at <= now() and (lease_until is null or lease_until <= now())
        order by due_at limit :limit for update skip locked
    )
    returning {_COLUMNS}
""")  # noqa: S608

_ADD = text("""
    insert into dunning_cases (invoice_id, stripe_customer_id, company_id, state, attempt_count, opened_at,
                               causation_id, traceparent)
    values (:invoice_id, :stripe_customer_id, :company_id, :state, :attempt_count, :opened_at, :causation_id,
            :traceparent)
""")

_SAVE = text("""
    update dunning_cases
    set state = :state, attempt_count = :attempt_count, queued_attempt_count = :queued_attempt_count,
        is_trying = :is_trying, is_paid_seen = :is_paid_seen, closed_why = :closed_why,
        closed_at = case when cast(:state as text) = 'closed' then coalesce(closed_at, now()) end
    where invoice_id = :invoice_id
""")

_HOLD_ON = text("""
    update dunning_cases set lease_until = now() + make_interval(secs => :lease_seconds)
    where invoice_id = :invoice_id
""")

_RELEASE = text("""
    update dunning_cases
    set lease_until = null, due_at = now() + make_interval(secs => :wait_seconds),
        failures = case when cast(:failure as text) is null then 0 else failures + 1 end,
        last_failure = cast(:failure as text)
    where invoice_id = :invoice_id and fence = :fence
""")

_SET_DUE = text("update dunning_cases set due_at = now(), failures = 0 where invoice_id = :invoice_id")

_SET_COMPANY = text("update dunning_cases set company_id = :company_id where invoice_id = :invoice_id")

_ADD_CYCLE = text("""
    insert into dunning_cycles (invoice_id, attempt_count, opened_at, causation_id)
    values (:invoice_id, :attempt_count, :opened_at, :causation_id)
    on conflict do nothing
""")

_FINISH_CYCLE = text("""
    update dunning_cycles
    set finished_at = coalesce(finished_at, now()), outcome = coalesce(outcome, :outcome)
    where invoice_id = :invoice_id and attempt_count = :attempt_count
""")


def _case_row(row: Any) -> CaseRow:
    case = Case(
        state=CaseState(row.state),
        attempt_count=row.attempt_count,
        queued_attempt_count=row.queued_attempt_count,
        is_trying=row.is_trying,
        is_paid_seen=row.is_paid_seen,
        closed_why=row.closed_why,
    )
    return CaseRow(
        invoice_id=row.invoice_id,
        stripe_customer_id=row.stripe_customer_id,
        company_id=row.company_id,
        case=case,
        opened_at=row.opened_at,
        fence=row.fence,
        failures=row.failures,
        causation_id=row.causation_id,
        traceparent=row.traceparent,
    )


async def list_cases(session: AsyncSession, invoice_ids: Sequence[str]) -> dict[str, CaseRow]:
    """By invoice, those that have one, locked until the end of the transaction. Hold the companies' streams
    first."""
    rows = await session.execute(_LIST, {"invoice_ids": list(invoice_ids)})
    return {row.invoice_id: _case_row(row) for row in rows}


async def list_known_invoices(session: AsyncSession, invoice_ids: Sequence[str]) -> set[str]:
    """Those that have a case, whatever its state."""
    return set((await session.execute(_LIST_KNOWN, {"invoice_ids": list(invoice_ids)})).scalars())


async def find_case(session: AsyncSession, invoice_id: str) -> CaseRow | None:
    return (await list_cases(session, [invoice_id])).get(invoice_id)


async def claim_due_cases(session: AsyncSession, *, limit: int, lease_seconds: float) -> list[CaseRow]:
    rows = await session.execute(_CLAIM, {"limit": limit, "lease_seconds": lease_seconds})
    return [_case_row(row) for row in rows]


async def add_case(
    session: AsyncSession,
    *,
    invoice_id: str,
    stripe_customer_id: str,
    company_id: UUID,
    case: Case,
    opened_at: datetime,
    causation_id: UUID,
    traceparent: str | None,
) -> None:
    values = {
        "invoice_id": invoice_id,
        "stripe_customer_id": stripe_customer_id,
        "company_id": company_id,
        "state": case.state,
        "attempt_count": case.attempt_count,
        "opened_at": opened_at,
        "causation_id": causation_id,
        "traceparent": traceparent,
    }
    await session.execute(_ADD, values)


async def save_case(session: AsyncSession, invoice_id: str, case: Case) -> None:
    values = {
        "invoice_id": invoice_id,
        "state": case.state,
        "attempt_count": case.attempt_count,
        "queued_attempt_count": case.queued_attempt_count,
        "is_trying": case.is_trying,
        "is_paid_seen": case.is_paid_seen,
        "closed_why": case.closed_why,
    }
    await session.execute(_SAVE, values)


async def hold_on(session: AsyncSession, invoice_id: str, *, lease_seconds: float) -> None:
    """A sign of life of the claimant."""
    await session.execute(_HOLD_ON, {"invoice_id": invoice_id, "lease_seconds": lease_seconds})


async def release_case(
    session: AsyncSession, row: CaseRow, *, wait_seconds: float = 0, failure: str | None = None
) -> None:
    values = {
        "invoice_id": row.invoice_id,
        "fence": row.fence,
        "wait_seconds": wait_seconds,
        "failure": failure,
    }
    await session.execute(_RELEASE, values)


async def mark_due(session: AsyncSession, invoice_id: str) -> None:
    await session.execute(_SET_DUE, {"invoice_id": invoice_id})


async def mark_company(session: AsyncSession, invoice_id: str, company_id: UUID) -> None:
    await session.execute(_SET_COMPANY, {"invoice_id": invoice_id, "company_id": company_id})


async def add_cycle(
    session: AsyncSession, invoice_id: str, attempt_count: int, opened_at: datetime, causation_id: UUID
) -> None:
    values = {
        "invoice_id": invoice_id,
        "attempt_count": attempt_count,
        "opened_at": opened_at,
        "causation_id": causation_id,
    }
    await session.execute(_ADD_CYCLE, values)


async def mark_cycle_finished(
    session: AsyncSession, invoice_id: str, attempt_count: int, outcome: str
) -> None:
    values = {"invoice_id": invoice_id, "attempt_count": attempt_count, "outcome": outcome}
    await session.execute(_FINISH_CYCLE, values)
