"""What is known of companies: what they owe, what they were told of, whether they subscribed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.billing import OpenInvoice
from services.notifications.domain import NOTICES, Channel, Delivery, Knowledge, Letter, Listed

# News older than what is known changes nothing, and nothing reopens what was closed.
_ADD_OPEN_INVOICE = text("""
    insert into open_invoices as o (company_id, invoice_id, number, amount_remaining_cents, currency,
                                    billing_cycle, issued_at, hosted_invoice_url, pay_url, revision)
    values (:company_id, :invoice_id, :number, :amount_remaining_cents, :currency, :billing_cycle,
            :issued_at, :hosted_invoice_url, :pay_url, :revision)
    on conflict (company_id, invoice_id) do update set
        number = excluded.number, amount_remaining_cents = excluded.amount_remaining_cents,
        currency = excluded.currency, billing_cycle = excluded.billing_cycle,
        issued_at = excluded.issued_at, hosted_invoice_url = excluded.hosted_invoice_url,
        pay_url = excluded.pay_url, revision = excluded.revision
    where o.closed_at is null and o.revision <= excluded.revision
""")

_MARK_INVOICE_CLOSED = text("""
    insert into open_invoices as o (company_id, invoice_id, closed_at)
    values (:company_id, :invoice_id, :closed_at)
    on conflict (company_id, invoice_id) do update set closed_at = excluded.closed_at
    where o.closed_at is null
""")

_ADD_SUBSCRIBED = text("""
    insert into subscribed_companies (company_id, started_at) values (:company_id, :started_at)
    on conflict do nothing
""")


async def add_open_invoices(
    session: AsyncSession, company_id: UUID, invoices: Iterable[OpenInvoice], *, revision: int
) -> None:
    values = [
        {"company_id": company_id, "revision": revision, **invoice.model_dump()} for invoice in invoices
    ]
    if values:
        await session.execute(_ADD_OPEN_INVOICE, values)


async def mark_invoice_closed(
    session: AsyncSession, company_id: UUID, invoice_id: str, *, closed_at: datetime
) -> None:
    values = {"company_id": company_id, "invoice_id": invoice_id, "closed_at": closed_at}
    await session.execute(_MARK_INVOICE_CLOSED, values)


async def add_subscribed(session: AsyncSession, company_id: UUID, *, started_at: datetime) -> None:
    await session.execute(_ADD_SUBSCRIBED, {"company_id": company_id, "started_at": started_at})


_ADD_LISTED = text("""
    insert into listed_invoices (kind, invoice_id, billing_cycle, stage, delivery_id)
    values (:kind, :invoice_id, :billing_cycle, :stage, :delivery_id)
    on conflict do nothing
""")


async def add_listed_invoices(session: AsyncSession, letters: Sequence[Letter]) -> None:
    """What each letter is about to tell its customer of."""
    values = [
        {
            "kind": letter.delivery.kind,
            "invoice_id": invoice.invoice_id,
            "billing_cycle": invoice.billing_cycle,
            "stage": letter.delivery.stage or 0,
            "delivery_id": letter.delivery.id,
        }
        for letter in letters
        if letter.delivery.channel == Channel.MAIL  # an SMS names no invoice
        for invoice in letter.listed
    ]
    if values:
        await session.execute(_ADD_LISTED, values)


_DELETE_LISTED = text("delete from listed_invoices where delivery_id = any(cast(:delivery_ids as uuid[]))")


async def delete_listed_invoices(session: AsyncSession, delivery_ids: Sequence[UUID]) -> None:
    """A mail that never arrived has told nobody of anything."""
    if delivery_ids:
        await session.execute(_DELETE_LISTED, {"delivery_ids": list(delivery_ids)})


_LIST_INVOICES = text("""
    select company_id, invoice_id, number, amount_remaining_cents, currency, billing_cycle, issued_at,
           hosted_invoice_url, pay_url, closed_at
    from open_invoices
    where company_id = any(cast(:company_ids as uuid[]))
      and (closed_at is null or invoice_id = any(cast(:invoice_ids as text[])))
    order by company_id, issued_at, invoice_id
""")

_LIST_LISTED = text("""
    select kind, invoice_id, billing_cycle, stage, delivery_id from listed_invoices
    where invoice_id = any(cast(:invoice_ids as text[]))
""")

_LIST_SUBSCRIBED = text("""
    select company_id from subscribed_companies where company_id = any(cast(:company_ids as uuid[]))
""")


# A mail of which nobody can tell whether it left counts as a notice: rather one too few than two.
_LIST_NOTICED = text("""
    select company_id, max(coalesce(settled_at, sending_at)) as noticed_at from deliveries
    where company_id = any(cast(:company_ids as uuid[])) and kind = any(cast(:kinds as text[]))
      and status in ('sending', 'accepted', 'delivered', 'unknown')
    group by company_id
""")


async def get_knowledge(session: AsyncSession, deliveries: Sequence[Delivery]) -> dict[UUID, Knowledge]:
    """What is known of each delivery's company, by delivery id. Right only while the companies are locked."""
    values = {
        "company_ids": [delivery.company_id for delivery in deliveries],
        "invoice_ids": [delivery.invoice_id for delivery in deliveries if delivery.invoice_id],
    }
    invoices: dict[UUID, list[Row[Any]]] = defaultdict(list)
    listed: dict[tuple[str, str], list[Listed]] = defaultdict(list)
    if values["invoice_ids"]:
        for row in await session.execute(_LIST_INVOICES, values):
            invoices[row.company_id].append(row)
        for row in await session.execute(_LIST_LISTED, values):
            told = Listed(row.invoice_id, row.billing_cycle, row.stage, row.delivery_id)
            listed[row.kind, row.invoice_id].append(told)
    subscribed = set((await session.execute(_LIST_SUBSCRIBED, values)).scalars())
    noticed = await _list_noticed(session, deliveries)
    return {
        delivery.id: Knowledge(
            open_invoices=tuple(_open_invoice(r) for r in invoices[delivery.company_id] if not r.closed_at),
            closed_invoice_ids={r.invoice_id for r in invoices[delivery.company_id] if r.closed_at},
            listed=listed[delivery.kind, delivery.invoice_id or ""],
            is_subscribed=delivery.company_id in subscribed,
            noticed_at=noticed.get(delivery.company_id),
        )
        for delivery in deliveries
    }


async def _list_noticed(session: AsyncSession, deliveries: Sequence[Delivery]) -> dict[UUID, datetime | None]:
    """By company, of those who are to be reminded; nothing else asks."""
    reminded = [delivery.company_id for delivery in deliveries if delivery.kind in NOTICES[1:]]
    if not reminded:
        return {}
    values = {"company_ids": reminded, "kinds": list(NOTICES)}
    return {row.company_id: row.noticed_at for row in await session.execute(_LIST_NOTICED, values)}


def _open_invoice(row: Row[Any]) -> OpenInvoice:
    return OpenInvoice.model_validate(dict(row._mapping))
