"""The copy of Stripe's objects and of the directory's companies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.billing import OpenInvoice
from libs.common.events.directory import CompanyRegistered
from libs.integrations.stripe import Customer, Invoice


@dataclass(frozen=True, slots=True)
class CustomerCopy:
    """A customer as Stripe had it at `seen_at`, and the company that its metadata names."""

    customer: Customer
    company_id: UUID | None
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class InvoiceCopy:
    """An invoice as Stripe had it at `seen_at`."""

    invoice: Invoice
    seen_at: datetime


_SAVE_COMPANIES = text("""
    insert into companies (company_id, name, email, stripe_customer_id)
    select distinct on (company_id) * from unnest(
        cast(:company_ids as uuid[]), cast(:names as text[]), cast(:emails as text[]),
        cast(:stripe_customer_ids as text[])
    ) as c (company_id, name, email, stripe_customer_id)
    on conflict (company_id) do nothing
""")

# Of two copies of one second the same wins, whichever came first. The company is kept apart: a later copy
# whose metadata names none takes nothing away.
_IS_FURTHER = """(c.seen_at is null
    or (excluded.is_deleted, excluded.seen_at, excluded.digest) > (c.is_deleted, c.seen_at, c.digest))"""
_IS_NAMED = """(excluded.company_id is not null
    and (c.company_seen_at is null or excluded.company_seen_at >= c.company_seen_at))"""
_SAVE_CUSTOMERS = text(f"""
    insert into customers as c
        (stripe_customer_id, company_id, company_seen_at, name, email, default_payment_method_id, is_deleted,
         digest, seen_at)
    select distinct on (id) id, company_id, case when company_id is not null then seen_at end, name, email,
           method, is_deleted, digest, seen_at
    from unnest(
        cast(:ids as text[]), cast(:company_ids as uuid[]), cast(:names as text[]), cast(:emails as text[]),
        cast(:methods as text[]), cast(:deleted as boolean[]), cast(:digests as text[]),
        cast(:seen_at as timestamptz[])
    ) as seen (id, company_id, name, email, method, is_deleted, digest, seen_at)
    order by id, seen_at desc, digest desc
    on conflict (stripe_customer_id) do update set
        (name, email, default_payment_method_id, is_deleted, digest, seen_at) = (select * from (values
            (excluded.name, excluded.email, excluded.default_payment_method_id, excluded.is_deleted,
             excluded.digest, excluded.seen_at),
            (c.name, c.email, c.default_payment_method_id, c.is_deleted, c.digest, c.seen_at)
        ) as copies offset case when {_IS_FURTHER} then 0 else 1 end limit 1),
        company_id = case when {_IS_NAMED} then excluded.company_id else c.company_id end,
        company_seen_at = case when {_IS_NAMED} then excluded.company_seen_at else c.company_seen_at end
    where {_IS_FURTHER} or {_IS_NAMED}
""")  # noqa: S608 - our own fragments

# Status moves forward only; everything else is taken from whichever copy is further on.
_SAVE_INVOICES = text("""
    insert into invoices as i (invoice_id, stripe_customer_id, subscription_id, status, number, currency,
        amount_due_cents, amount_remaining_cents, attempt_count, billing_cycle, issued_at,
        hosted_invoice_url, seen_at, digest)
    select * from unnest(
        cast(:invoice_ids as text[]), cast(:customer_ids as text[]), cast(:subscription_ids as text[]),
        cast(:statuses as text[]), cast(:numbers as text[]), cast(:currencies as text[]),
        cast(:amounts_due as bigint[]), cast(:amounts_remaining as bigint[]), cast(:attempt_counts as int[]),
        cast(:billing_cycles as text[]), cast(:issued_at as timestamptz[]),
        cast(:hosted_invoice_urls as text[]), cast(:seen_at as timestamptz[]), cast(:digests as text[])
    )
    on conflict (invoice_id) do update
    set (status, number, currency, amount_due_cents, amount_remaining_cents, subscription_id,
         billing_cycle, hosted_invoice_url, seen_at, digest)
        = (excluded.status, excluded.number, excluded.currency, excluded.amount_due_cents,
           excluded.amount_remaining_cents, excluded.subscription_id, excluded.billing_cycle,
           excluded.hosted_invoice_url, excluded.seen_at, excluded.digest),
        attempt_count = greatest(i.attempt_count, excluded.attempt_count)
    where (array_position(array['draft', 'open', 'uncollectible', 'paid', 'void'], excluded.status),
           excluded.attempt_count, excluded.seen_at, excluded.digest)
        > (array_position(array['draft', 'open', 'uncollectible', 'paid', 'void'], i.status),
           i.attempt_count, i.seen_at, i.digest)
    returning invoice_id, status
""")

_LIST_INVOICE_STATUSES = text("""
    select invoice_id, status from invoices where invoice_id = any(cast(:invoice_ids as text[]))
""")

_LIST_OPEN = text("""
    select i.invoice_id, i.number, i.amount_remaining_cents, i.currency, i.billing_cycle, i.issued_at,
           i.hosted_invoice_url, c.state, c.opened_at
    from dunning_cases c join invoices i using (invoice_id)
    where c.company_id = :company_id and c.state <> 'closed' and i.status = 'open'
    order by i.issued_at, i.invoice_id
""")


@dataclass(frozen=True, slots=True)
class OpenCase:
    """An unpaid invoice of a company, and where its case stands."""

    invoice: OpenInvoice
    state: str
    opened_at: datetime


async def add_companies(session: AsyncSession, registered: Sequence[CompanyRegistered]) -> None:
    await session.execute(
        _SAVE_COMPANIES,
        {
            "company_ids": [r.company_id for r in registered],
            "names": [r.name for r in registered],
            "emails": [r.email for r in registered],
            "stripe_customer_ids": [r.stripe_customer_id for r in registered],
        },
    )


def _digest(copy: Customer | Invoice) -> str:
    """Orders two copies of one second, the same way whichever comes first."""
    return sha256(repr(replace(copy, id="")).encode()).hexdigest()[:16]


async def save_customers(session: AsyncSession, seen: Sequence[CustomerCopy]) -> None:
    """Keep the newest copy of each."""
    await session.execute(
        _SAVE_CUSTOMERS,
        {
            "ids": [s.customer.id for s in seen],
            "company_ids": [s.company_id for s in seen],
            "names": [s.customer.name for s in seen],
            "emails": [s.customer.email for s in seen],
            "methods": [s.customer.default_payment_method_id for s in seen],
            "deleted": [s.customer.is_deleted for s in seen],
            "digests": [_digest(s.customer) for s in seen],
            "seen_at": [s.seen_at for s in seen],
        },
    )


async def save_invoices(session: AsyncSession, seen: Sequence[InvoiceCopy]) -> dict[str, str]:
    """Keep the further of the two copies of each, different invoices all; answers with the status that holds
    now, by invoice. Hold their companies' streams first."""
    invoices = [s.invoice for s in seen]
    values = {
        "invoice_ids": [i.id for i in invoices],
        "customer_ids": [i.customer_id for i in invoices],
        "subscription_ids": [i.subscription_id for i in invoices],
        "statuses": [i.status for i in invoices],
        "numbers": [i.number for i in invoices],
        "currencies": [i.currency for i in invoices],
        "amounts_due": [i.amount_due for i in invoices],
        "amounts_remaining": [i.amount_remaining for i in invoices],
        "attempt_counts": [i.attempt_count for i in invoices],
        "billing_cycles": [i.billing_cycle for i in invoices],
        "issued_at": [i.created_at for i in invoices],
        "hosted_invoice_urls": [i.hosted_invoice_url for i in invoices],
        "seen_at": [s.seen_at for s in seen],
        "digests": [_digest(i) for i in invoices],
    }
    statuses = {row.invoice_id: row.status for row in await session.execute(_SAVE_INVOICES, values)}
    kept = [i.id for i in invoices if i.id not in statuses]
    if kept:
        rows = await session.execute(_LIST_INVOICE_STATUSES, {"invoice_ids": kept})
        statuses.update({row.invoice_id: row.status for row in rows})
    return statuses


async def save_invoice(session: AsyncSession, invoice: Invoice, seen_at: datetime) -> None:
    await save_invoices(session, [InvoiceCopy(invoice, seen_at)])


async def list_open_cases(session: AsyncSession, company_id: UUID) -> list[OpenCase]:
    """A company's unpaid invoices, the earliest first."""
    rows = await session.execute(_LIST_OPEN, {"company_id": company_id})
    return [
        OpenCase(
            invoice=OpenInvoice(
                invoice_id=row.invoice_id,
                number=row.number,
                amount_remaining_cents=row.amount_remaining_cents,
                currency=row.currency,
                billing_cycle=row.billing_cycle,
                issued_at=row.issued_at,
                hosted_invoice_url=row.hosted_invoice_url,
            ),
            state=row.state,
            opened_at=row.opened_at,
        )
        for row in rows
    ]
