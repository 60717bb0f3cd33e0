"""Subscriptions to be compared with Stripe's: what is due, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.scheduler import SubscriptionCheckDue


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A claimed check. `fence` is the claim's number: a write under an older one changes nothing."""

    subscription_id: str
    due_on: date
    company_id: UUID
    causation_id: UUID
    traceparent: str | None
    fence: int
    failures: int


_ADD = text("""
    insert into subscription_checks (subscription_id, due_on, company_id, causation_id, traceparent)
    values (:subscription_id, :due_on, :company_id, :causation_id, :traceparent)
    on conflict do nothing
""")

_CLAIM = text("""
    update subscription_checks
    set fence = fence + 1, lease_until = now() + make_interval(secs => :lease_seconds)
    where (subscription_id, due_on) in (
        select subscription_id, due_on from subscription_checks
        where checked_at is null and due_at <= now() and (lease_until is null or lease_until <= now())
        order by due_at limit 1 for update skip locked
    )
    returning subscription_id, due_on, company_id, causation_id, traceparent, fence, failures
""")

_MARK_CHECKED = text("""
    update subscription_checks set checked_at = now(), outcome = :outcome, lease_until = null
    where subscription_id = :subscription_id and due_on = :due_on and fence = :fence returning fence
""")

_RELEASE = text("""
    update subscription_checks
    set lease_until = null, due_at = now() + make_interval(secs => :wait_seconds), failures = failures + 1,
        last_failure = :failure
    where subscription_id = :subscription_id and due_on = :due_on and fence = :fence
""")

# Facts that were told before are not stored again: what this transaction stored is what was missing.
_LIST_NEWLY_TOLD = text("""
    select type from outbox where told_at is null and xmin = cast(pg_current_xact_id() as xid) order by seq
""")


async def add_check(
    session: AsyncSession, due: SubscriptionCheckDue, *, causation_id: UUID, traceparent: str | None
) -> None:
    values = {
        "subscription_id": due.subscription_id,
        "due_on": due.due_on,
        "company_id": due.company_id,
        "causation_id": causation_id,
        "traceparent": traceparent,
    }
    await session.execute(_ADD, values)


async def claim_check(session: AsyncSession, *, lease_seconds: float) -> CheckRow | None:
    row = (await session.execute(_CLAIM, {"lease_seconds": lease_seconds})).one_or_none()
    return None if row is None else CheckRow(**row._mapping)


async def mark_checked(session: AsyncSession, check: CheckRow, outcome: str) -> bool:
    """Answers whether the claim still stood."""
    values = {**_key(check), "outcome": outcome}
    return (await session.execute(_MARK_CHECKED, values)).first() is not None


async def release_check(session: AsyncSession, check: CheckRow, *, wait_seconds: float, failure: str) -> None:
    await session.execute(_RELEASE, {**_key(check), "wait_seconds": wait_seconds, "failure": failure})


def _key(check: CheckRow) -> dict[str, object]:
    return {"subscription_id": check.subscription_id, "due_on": check.due_on, "fence": check.fence}


async def list_newly_told(session: AsyncSession) -> list[str]:
    """Types of the facts that this transaction tells for the first time. Flush the unit of work before."""
    return list((await session.execute(_LIST_NEWLY_TOLD)).scalars())
