"""What is recorded of companies' dunning, for explaining it and for trying another policy over it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.billing.domain import CaseState, Decision, Lines, LineState, Notice, Verdict
from services.billing.domain.past import (
    Past,
    PastCase,
    PastChange,
    PastCycle,
    PastExemption,
    PastLifetime,
    PastNotice,
    PastTry,
)

_FIND_COMPANY = text("""
    select company_id from companies
    where cast(company_id as text) = :word or cast(legacy_enterprise_id as text) = :word
       or stripe_customer_id = :word
    union
    select company_id from dunning_cases
    where cast(company_id as text) = :word or stripe_customer_id = :word or invoice_id = :word
""")

_LIST_COMPANY_IDS = text("""
    select distinct company_id from dunning_cases
    where company_id > :after and (closed_at is null or closed_at >= :since)
    order by company_id limit :limit
""")

_NAMES = text("""
    select asked.company_id, own.legacy_enterprise_id, coalesce(own.name, customer.name) as name
    from unnest(cast(:company_ids as uuid[])) as asked (company_id)
    left join companies own on own.company_id = asked.company_id
    left join lateral (
        select name from dunning_cases join customers using (stripe_customer_id)
        where dunning_cases.company_id = asked.company_id order by opened_at desc limit 1
    ) customer on true
    order by asked.company_id
""")

_CASES = text("""
    select c.*, i.number, i.amount_remaining_cents, i.amount_due_cents, i.currency
    from dunning_cases c join invoices i using (invoice_id)
    where c.company_id = any(cast(:company_ids as uuid[])) order by c.opened_at, c.invoice_id
""")

_CYCLES = text("""
    select y.* from dunning_cycles y join dunning_cases c using (invoice_id)
    where c.company_id = any(cast(:company_ids as uuid[])) order by y.invoice_id, y.attempt_count
""")

_TRIES = text("""
    select a.* from payment_attempts a join dunning_cases c using (invoice_id)
    where c.company_id = any(cast(:company_ids as uuid[]))
    order by a.invoice_id, a.attempt_count, a.position
""")

_NOTICES = text("""
    select * from notices where company_id = any(cast(:company_ids as uuid[])) and accepted_at is not null
    order by accepted_at, delivery_id
""")

_EXEMPTIONS = text("""
    select * from exemptions where company_id = any(cast(:company_ids as uuid[])) order by exempted_at
""")

_LIFETIMES = text("""
    select * from lifetimes where company_id = any(cast(:company_ids as uuid[])) order by granted_at
""")

_CHANGES = text("""
    select * from line_changes where company_id = any(cast(:company_ids as uuid[])) order by at, state
""")

_PRESENT = text("""
    select state, episode, is_unpaid, changed_at, decided_at, verdict, why, next_at from company_lines
    where company_id = :company_id
""")


@dataclass(frozen=True, slots=True)
class Present:
    """A company's lines as they stand, and what was decided of them last."""

    lines: Lines = field(default_factory=Lines)
    decision: Decision | None = None
    decided_at: datetime | None = None


async def list_companies_named(session: AsyncSession, word: str) -> list[UUID]:
    """By id, number in the old system, Stripe customer or invoice."""
    return list((await session.execute(_FIND_COMPANY, {"word": word})).scalars())


async def list_companies_since(
    session: AsyncSession, since: datetime, *, after: UUID, limit: int
) -> list[UUID]:
    """Those with a case that was open then or later, in the order of their ids."""
    values = {"since": since, "after": after, "limit": limit}
    return list((await session.execute(_LIST_COMPANY_IDS, values)).scalars())


async def get_present(session: AsyncSession, company_id: UUID) -> Present:
    """Looked at, not locked."""
    row = (await session.execute(_PRESENT, {"company_id": company_id})).one_or_none()
    if row is None:
        return Present()
    lines = Lines(LineState(row.state), row.episode, row.is_unpaid, row.changed_at)
    if row.verdict is None:
        return Present(lines)
    return Present(lines, Decision(Verdict(row.verdict), row.why, next_at=row.next_at), row.decided_at)


async def list_pasts(session: AsyncSession, company_ids: Sequence[UUID]) -> list[Past]:
    """All that is recorded of these companies, in a few statements."""
    values = {"company_ids": list(company_ids)}
    tries = await _grouped(session, _TRIES, values, "invoice_id", "attempt_count")
    cycles = await _grouped(session, _CYCLES, values, "invoice_id")
    cases = await _grouped(session, _CASES, values, "company_id")
    notices = await _grouped(session, _NOTICES, values, "company_id")
    exemptions = await _grouped(session, _EXEMPTIONS, values, "company_id")
    lifetimes = await _grouped(session, _LIFETIMES, values, "company_id")
    changes = await _grouped(session, _CHANGES, values, "company_id")
    return [
        Past(
            company_id=row.company_id,
            name=row.name,
            legacy_enterprise_id=row.legacy_enterprise_id,
            cases=tuple(_case(c, cycles[c.invoice_id,], tries) for c in cases[row.company_id,]),
            notices=tuple(map(_notice, notices[row.company_id,])),
            exemptions=tuple(map(_exemption, exemptions[row.company_id,])),
            lifetimes=tuple(map(_lifetime, lifetimes[row.company_id,])),
            changes=tuple(map(_change, changes[row.company_id,])),
        )
        for row in await session.execute(_NAMES, values)
    ]


Groups = dict[tuple[Any, ...], list[Row[Any]]]


async def _grouped(
    session: AsyncSession, statement: Any, values: dict[str, list[UUID]], *keys: str
) -> Groups:
    groups: Groups = defaultdict(list)
    for row in await session.execute(statement, values):
        groups[tuple(getattr(row, key) for key in keys)].append(row)
    return groups


def _case(row: Row[Any], cycles: Sequence[Row[Any]], tries: Groups) -> PastCase:
    return PastCase(
        invoice_id=row.invoice_id,
        number=row.number,
        amount_cents=row.amount_remaining_cents or row.amount_due_cents,
        currency=row.currency,
        state=CaseState(row.state),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        closed_why=row.closed_why,
        causation_id=row.causation_id,
        cycles=tuple(_cycle(c, tries[c.invoice_id, c.attempt_count]) for c in cycles),
    )


def _cycle(row: Row[Any], tries: Sequence[Row[Any]]) -> PastCycle:
    return PastCycle(
        attempt_count=row.attempt_count,
        opened_at=row.opened_at,
        finished_at=row.finished_at,
        outcome=row.outcome,
        causation_id=row.causation_id,
        tries=tuple(PastTry(t.label, t.state, t.why, t.decline_code, t.settled_at) for t in tries),
    )


def _notice(row: Row[Any]) -> PastNotice:
    notice = Notice(row.delivery_id, frozenset(row.invoice_ids), row.accepted_at, row.bounced_at)
    return PastNotice(notice, row.kind, row.channel)


def _exemption(row: Row[Any]) -> PastExemption:
    return PastExemption(row.exempted_at, row.until, row.exempted_by, row.reason)


def _lifetime(row: Row[Any]) -> PastLifetime:
    return PastLifetime(row.granted_at, row.is_granted, row.granted_by, row.reason)


def _change(row: Row[Any]) -> PastChange:
    return PastChange(
        state=LineState(row.state),
        episode=row.episode,
        at=row.at,
        why=row.why,
        policy_version=row.policy_version,
        notice_delivery_id=row.notice_delivery_id,
        causation_id=row.causation_id,
    )
