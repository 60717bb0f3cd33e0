"""The attempts of a cycle: its plan, fixed once, and what became of each method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.billing.domain import Attempt, AttemptState, PastDecline

_MARK_PLANNED = text("""
    update dunning_cycles set planned_at = coalesce(planned_at, now())
    where invoice_id = :invoice_id and attempt_count = :attempt_count
""")

_IS_PLANNED = text("""
    select planned_at is not null from dunning_cycles
    where invoice_id = :invoice_id and attempt_count = :attempt_count
""")

_LIST_ATTEMPTS = text("""
    select position, payment_method_id, label, fingerprint, state, why, decline_code, key_version,
           server_failures, started_at
    from payment_attempts where invoice_id = :invoice_id and attempt_count = :attempt_count order by position
""")

_ADD_ATTEMPT = text("""
    insert into payment_attempts (invoice_id, attempt_count, payment_method_id, position, label, fingerprint,
                                  state, why, decline_code, settled_at)
    values (:invoice_id, :attempt_count, :payment_method_id, :position, :label, :fingerprint, :state, :why,
            cast(:decline_code as text), case when cast(:decline_code as text) is not null then now() end)
    on conflict do nothing
""")

_MARK_TRYING = text("""
    update payment_attempts
    set state = 'trying', key_version = :key_version,
        started_at = case when key_version = :key_version then coalesce(started_at, now()) else now() end,
        server_failures = case when key_version = :key_version then server_failures else 0 end
    where invoice_id = :invoice_id and attempt_count = :attempt_count
      and payment_method_id = :payment_method_id
""")

_MARK_SETTLED = text("""
    update payment_attempts set state = :state, decline_code = :decline_code, settled_at = now()
    where invoice_id = :invoice_id and attempt_count = :attempt_count
      and payment_method_id = :payment_method_id
""")

_MARK_SERVER_FAILURE = text("""
    update payment_attempts set server_failures = server_failures + :counted
    where invoice_id = :invoice_id and attempt_count = :attempt_count
      and payment_method_id = :payment_method_id
""")

# Stripe would answer the old key with the refusal of that time.
_MARK_UNTRIED = text("""
    update payment_attempts
    set state = 'planned', started_at = null, server_failures = 0, key_version = key_version + 1
    where invoice_id = :invoice_id and attempt_count = :attempt_count
      and payment_method_id = :payment_method_id
""")

_PAST_DECLINES = text("""
    select distinct on (fingerprint) fingerprint, decline_code, settled_at
    from payment_attempts
    where fingerprint = any(cast(:fingerprints as text[])) and decline_code is not null
    order by fingerprint, settled_at desc
""")


async def is_planned(session: AsyncSession, invoice_id: str, attempt_count: int) -> bool:
    values = {"invoice_id": invoice_id, "attempt_count": attempt_count}
    return bool((await session.execute(_IS_PLANNED, values)).scalar_one_or_none())


async def add_attempts(
    session: AsyncSession, invoice_id: str, attempt_count: int, attempts: Sequence[Attempt]
) -> None:
    """Fix the plan of a cycle: from here on it is resumed, never made again."""
    cycle = {"invoice_id": invoice_id, "attempt_count": attempt_count}
    values = [
        cycle
        | {
            "payment_method_id": a.payment_method_id,
            "position": a.position,
            "label": a.label,
            "fingerprint": a.fingerprint,
            "state": a.state,
            "why": a.why,
            "decline_code": a.decline_code,
        }
        for a in attempts
    ]
    if values:
        await session.execute(_ADD_ATTEMPT, values)
    await session.execute(_MARK_PLANNED, cycle)


async def list_attempts(session: AsyncSession, invoice_id: str, attempt_count: int) -> list[Attempt]:
    rows = await session.execute(_LIST_ATTEMPTS, {"invoice_id": invoice_id, "attempt_count": attempt_count})
    return [Attempt(**(dict(row._mapping) | {"state": AttemptState(row.state)})) for row in rows]


async def mark_trying(session: AsyncSession, invoice_id: str, attempt_count: int, attempt: Attempt) -> None:
    values = {
        "invoice_id": invoice_id,
        "attempt_count": attempt_count,
        "payment_method_id": attempt.payment_method_id,
        "key_version": attempt.key_version,
    }
    await session.execute(_MARK_TRYING, values)


async def mark_settled(
    session: AsyncSession,
    invoice_id: str,
    attempt_count: int,
    payment_method_id: str,
    *,
    state: AttemptState,
    decline_code: str | None,
) -> None:
    values = {
        "invoice_id": invoice_id,
        "attempt_count": attempt_count,
        "payment_method_id": payment_method_id,
        "state": state,
        "decline_code": decline_code,
    }
    await session.execute(_MARK_SETTLED, values)


async def mark_untried(
    session: AsyncSession, invoice_id: str, attempt_count: int, payment_method_id: str
) -> None:
    """It was not charged after all, and may be."""
    values = {
        "invoice_id": invoice_id,
        "attempt_count": attempt_count,
        "payment_method_id": payment_method_id,
    }
    await session.execute(_MARK_UNTRIED, values)


async def mark_server_failure(
    session: AsyncSession, invoice_id: str, attempt_count: int, payment_method_id: str, *, counted: int
) -> None:
    values = {
        "invoice_id": invoice_id,
        "attempt_count": attempt_count,
        "payment_method_id": payment_method_id,
        "counted": counted,
    }
    await session.execute(_MARK_SERVER_FAILURE, values)


async def list_past_declines(session: AsyncSession, fingerprints: Sequence[str]) -> Mapping[str, PastDecline]:
    """The last decline of each card, by fingerprint."""
    rows = await session.execute(_PAST_DECLINES, {"fingerprints": list(fingerprints)})
    return {row.fingerprint: PastDecline(row.decline_code, row.settled_at) for row in rows}
