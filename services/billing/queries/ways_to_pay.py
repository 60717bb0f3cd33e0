"""Where a link of a mail leads: which invoice, whose customer."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class Payable:
    """An invoice as far as paying it goes; `url` is Stripe's own page of it."""

    invoice_id: str
    status: str
    url: str | None


_FIND_PAYABLE = text("select status, hosted_invoice_url from invoices where invoice_id = :invoice_id")

# Who owes something comes first: a company may have had several customers at Stripe.
_FIND_CUSTOMER = text("""
    with known as (
        select stripe_customer_id, 1 as place, opened_at as at from dunning_cases
        where company_id = :company_id and state <> 'closed'
        union all
        select stripe_customer_id, 2, seen_at from customers where company_id = :company_id
        union all
        select stripe_customer_id, 3, null from companies where company_id = :company_id
        union all
        select stripe_customer_id, 4, seen_at from customers where told_as = :company_id
    )
    select k.stripe_customer_id from known k left join customers c using (stripe_customer_id)
    where k.stripe_customer_id is not null and not coalesce(c.is_deleted, false)
    order by k.place, k.at desc nulls last, k.stripe_customer_id limit 1
""")


async def find_payable(session: AsyncSession, invoice_id: str) -> Payable | None:
    row = (await session.execute(_FIND_PAYABLE, {"invoice_id": invoice_id})).one_or_none()
    return None if row is None else Payable(invoice_id, row.status, row.hosted_invoice_url)


async def find_customer_id(session: AsyncSession, company_id: UUID) -> str | None:
    """The Stripe customer whose card a company would change."""
    customer_id: str | None = (await session.execute(_FIND_CUSTOMER, {"company_id": company_id})).scalar()
    return customer_id
