"""The copy of Stripe's objects and of the directory's companies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Uow
from libs.common.events import provisional_company_id
from libs.common.events.billing import OpenInvoice
from libs.common.events.directory import CompanyRegistered
from libs.integrations.stripe import Customer, Invoice, StripeEvent


@dataclass(frozen=True, slots=True)
class Debtor:
    """Whom a Stripe customer is to us: a company of the directory, or a provisional one."""

    company_id: UUID
    name: str
    email: str | None


_NOTE_EVENT = text("""
    insert into stripe_events (stripe_event_id, event_id, type, created_at, outcome)
    values (:id, :event_id, :type, :created_at, :outcome)
    on conflict (stripe_event_id) do nothing
""")

_SAVE_COMPANIES = text("""
    insert into companies (company_id, name, email, stripe_customer_id)
    select distinct on (company_id) * from unnest(
        cast(:company_ids as uuid[]), cast(:names as text[]), cast(:emails as text[]),
        cast(:stripe_customer_ids as text[])
    ) as c (company_id, name, email, stripe_customer_id)
    on conflict (company_id) do nothing
""")

_SAVE_CUSTOMER = text("""
    insert into customers as c (stripe_customer_id, company_id, name, email, seen_at)
    values (:id, :company_id, :name, :email, :seen_at)
    on conflict (stripe_customer_id) do update
    set company_id = coalesce(excluded.company_id, c.company_id), name = excluded.name,
        email = excluded.email, seen_at = excluded.seen_at
    where excluded.seen_at >= c.seen_at
""")

# Resolved and locked in one round trip: nothing may be decided about a company that is not held.
_LOCK_DEBTOR = text("""
    with resolved as (
        select coalesce(customer.company_id, linked.company_id, :provisional) as company_id,
               coalesce(own.name, linked.name, customer.name) as name,
               coalesce(own.email, linked.email, customer.email) as email
        from (select cast(:customer_id as text) as id) as asked
        left join customers customer on customer.stripe_customer_id = asked.id
        left join companies own on own.company_id = customer.company_id
        left join lateral (
            select * from companies where stripe_customer_id = asked.id order by company_id limit 1
        ) linked on true
    ), locked as (
        insert into streams (key, revision) select cast(company_id as text), 0 from resolved
        on conflict (key) do update set revision = streams.revision
        returning key
    )
    select resolved.* from resolved, locked
""")

# Status moves forward only; everything else is taken from whichever copy is further on.
_SAVE_INVOICE = text("""
    insert into invoices as i (invoice_id, stripe_customer_id, subscription_id, status, number, currency,
        amount_due_cents, amount_remaining_cents, attempt_count, billing_cycle, issued_at,
        hosted_invoice_url, seen_at)
    values (:invoice_id, :customer_id, :subscription_id, :status, :number, :currency, :amount_due,
        :amount_remaining, :attempt_count, :billing_cycle, :issued_at, :hosted_invoice_url, :seen_at)
    on conflict (invoice_id) do update
    set (status, number, currency, amount_due_cents, amount_remaining_cents, subscription_id,
         billing_cycle, hosted_invoice_url, seen_at)
        = (excluded.status, excluded.number, excluded.currency, excluded.amount_due_cents,
           excluded.amount_remaining_cents, excluded.subscription_id, excluded.billing_cycle,
           excluded.hosted_invoice_url, excluded.seen_at),
        attempt_count = greatest(i.attempt_count, excluded.attempt_count)
    where (array_position(array['draft', 'open', 'uncollectible', 'paid', 'void'], excluded.status),
           excluded.attempt_count, excluded.seen_at)
        > (array_position(array['draft', 'open', 'uncollectible', 'paid', 'void'], i.status),
           i.attempt_count, i.seen_at)
    returning status
""")

_GET_INVOICE_STATUS = text("select status from invoices where invoice_id = :invoice_id")

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


def add_event_note(uow: Uow, event: StripeEvent, event_id: UUID, outcome: str) -> None:
    """What a Stripe event did; nothing waits for it, so it is stored at the end of the transaction."""
    values = {
        "id": event.id,
        "event_id": event_id,
        "type": event.type,
        "created_at": event.created_at,
        "outcome": outcome,
    }
    uow.add_later(_NOTE_EVENT, values)


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


async def save_customer(
    session: AsyncSession, customer: Customer, company_id: UUID | None, seen_at: datetime
) -> None:
    values = {
        "id": customer.id,
        "company_id": company_id,
        "name": customer.name,
        "email": customer.email,
        "seen_at": seen_at,
    }
    await session.execute(_SAVE_CUSTOMER, values)


async def lock_debtor(session: AsyncSession, stripe_customer_id: str, invoice: Invoice | None) -> Debtor:
    """Whose debt it is, held until the end of the transaction; the invoice's own name and address fill
    what nobody else knows."""
    row = (
        await session.execute(
            _LOCK_DEBTOR,
            {
                "customer_id": stripe_customer_id,
                "provisional": provisional_company_id(stripe_customer_id),
            },
        )
    ).one()
    return Debtor(
        company_id=row.company_id,
        name=row.name or (invoice.customer_name if invoice else None) or stripe_customer_id,
        email=row.email or (invoice.customer_email if invoice else None),
    )


async def save_invoice(session: AsyncSession, invoice: Invoice, seen_at: datetime) -> str:
    """Keep the further of the two copies; answers with the status that holds now."""
    values = asdict(invoice) | {
        "invoice_id": invoice.id,
        "billing_cycle": invoice.billing_cycle,
        "issued_at": invoice.created_at,
        "seen_at": seen_at,
    }
    status = (await session.execute(_SAVE_INVOICE, values)).scalar_one_or_none()
    if status is None:
        status = (await session.execute(_GET_INVOICE_STATUS, {"invoice_id": invoice.id})).scalar_one()
    return str(status)


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
