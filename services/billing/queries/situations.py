"""What a decision on a company's lines is made of: what it owes, which notices it got, who spares it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events import provisional_company_id
from services.billing.domain import CaseState, Lines, Notice, Situation, Sparing, UnpaidInvoice

_LIST_UNPAID = text("""
    select c.invoice_id, c.opened_at, c.state, c.stripe_customer_id
    from dunning_cases c join invoices i using (invoice_id)
    where c.company_id = :company_id and c.state <> 'closed' and i.status = 'open'
    order by c.opened_at, c.invoice_id
""")

_LIST_NOTICES = text("""
    select delivery_id, invoice_ids, accepted_at, bounced_at from notices
    where company_id = :company_id and accepted_at is not null order by accepted_at, delivery_id
""")

_GET_SPARING = text("""
    select (select until from exemptions where company_id = :company_id
            order by exempted_at desc limit 1) as exempted_until,
           coalesce((select is_granted from lifetimes where company_id = :company_id
                     order by granted_at desc limit 1), false) as is_lifetime
""")

_FIND_ADDRESSEE = text("""
    select coalesce(own.name, customer.name) as name, coalesce(own.email, customer.email) as email
    from (select) as one
    left join companies own on own.company_id = :company_id
    left join lateral (
        select name, email from dunning_cases join customers using (stripe_customer_id)
        where dunning_cases.company_id = :company_id order by opened_at desc limit 1
    ) customer on true
""")

_LIST_CONTRACTS = text("""
    select l.legacy_contract_id, c.legacy_enterprise_id
    from (select) as one
    left join companies c on c.company_id = :company_id
    left join line_contracts l on l.company_id = :company_id and l.legacy_contract_id is not null
        and (l.released_at is null or l.released_at < l.assigned_at)
    order by l.legacy_contract_id
""")


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom to write to, as far as it is known."""

    name: str | None
    email: str | None


@dataclass(frozen=True, slots=True)
class Contract:
    """A line's contract and its company, by their numbers in the old system, as far as they are known."""

    legacy_contract_id: int | None
    legacy_enterprise_id: int | None


async def get_situation(session: AsyncSession, company_id: UUID, lines: Lines) -> Situation:
    """As it is at this moment. Only under the company's lock may anything be done about it."""
    values = {"company_id": company_id}
    cases = (await session.execute(_LIST_UNPAID, values)).all()
    unpaid = [UnpaidInvoice(row.invoice_id, row.opened_at, CaseState(row.state)) for row in cases]
    is_linked = company_id not in {provisional_company_id(row.stripe_customer_id) for row in cases}
    notices = [
        Notice(row.delivery_id, frozenset(row.invoice_ids), row.accepted_at, row.bounced_at)
        for row in await session.execute(_LIST_NOTICES, values)
    ]
    spared = (await session.execute(_GET_SPARING, values)).one()
    sparing = Sparing(spared.exempted_until, spared.is_lifetime)
    return Situation(lines, unpaid, notices, sparing, is_linked)


async def get_addressee(session: AsyncSession, company_id: UUID) -> Addressee:
    row = (await session.execute(_FIND_ADDRESSEE, {"company_id": company_id})).one()
    return Addressee(row.name, row.email)


async def list_contracts(session: AsyncSession, company_id: UUID) -> list[Contract]:
    """One for each line whose contract is known; one without a number where none is."""
    rows = await session.execute(_LIST_CONTRACTS, {"company_id": company_id})
    return [Contract(row.legacy_contract_id, row.legacy_enterprise_id) for row in rows]
