"""What a preview of a message is made of."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import desc, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.billing import OpenInvoice
from services.notifications.domain import Delivery
from services.notifications.queries.deliveries import as_delivery, selected, table

_LIST_OPEN = text("""
    select invoice_id, number, amount_remaining_cents, currency, billing_cycle, issued_at, hosted_invoice_url,
           pay_url
    from open_invoices where company_id = :company_id and closed_at is null order by issued_at, invoice_id
""")


async def list_open_invoices(session: AsyncSession, company_id: UUID) -> list[OpenInvoice]:
    """What the company owes, oldest first."""
    rows = await session.execute(_LIST_OPEN, {"company_id": company_id})
    return [OpenInvoice.model_validate(dict(row._mapping)) for row in rows]


async def find_last_delivery(
    session: AsyncSession, company_id: UUID, kind: str, channel: str
) -> Delivery | None:
    """The newest whose context is still kept."""
    statement = (
        select(*selected)
        .where(
            table.c.company_id == company_id,
            table.c.kind == kind,
            table.c.channel == channel,
            table.c.forgotten_at.is_(None),
        )
        .order_by(desc(table.c.created_at))
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else as_delivery(row)


async def find_delivery_of(session: AsyncSession, event_id: UUID, kind: str, channel: str) -> Delivery | None:
    """What a fact queued."""
    statement = select(*selected).where(
        table.c.event_id == event_id, table.c.kind == kind, table.c.channel == channel
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else as_delivery(row)
