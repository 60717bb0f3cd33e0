"""Read model: what became of each delivery."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.envelope import Envelope


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """What one fact says of a delivery, whichever class it is."""

    delivery_id: UUID
    company_id: UUID
    kind: str
    channel: str
    billing_cycle: str | None
    invoice_ids: tuple[str, ...]
    status: str
    at: datetime
    detail: str
    envelope: Envelope


# The state's columns come from one telling, the one with the highest revision (a delivery's facts are all on
# its company's key, so revisions order them). The event id only makes the order total.
_STATE = ("status", "at", "detail", "revision", "event_id", "traceparent", "cause_id")
_IS_NEWER = "(d.revision, d.event_id) < (excluded.revision, excluded.event_id)"
_SET_STATE = ", ".join(f"{c} = case when {_IS_NEWER} then excluded.{c} else d.{c} end" for c in _STATE)

_FOLD_DELIVERIES = text(f"""
    with heard as (
        select * from unnest(
            cast(:delivery_ids as uuid[]), cast(:company_ids as uuid[]), cast(:kinds as text[]),
            cast(:channels as text[]), cast(:billing_cycles as text[]), cast(:invoice_ids as text[]),
            cast(:statuses as text[]), cast(:at as timestamptz[]), cast(:details as text[]),
            cast(:revisions as bigint[]), cast(:event_ids as uuid[]), cast(:traceparents as text[]),
            cast(:cause_ids as uuid[])
        ) as h (delivery_id, company_id, kind, channel, billing_cycle, invoice_ids, status, at, detail,
                revision, event_id, traceparent, cause_id)
    )
    insert into deliveries as d (delivery_id, company_id, kind, channel, billing_cycle, invoice_ids, first_at,
                                 status, at, detail, revision, event_id, traceparent, cause_id)
    select distinct on (delivery_id)
           delivery_id, company_id, kind, channel, billing_cycle,
           array(select jsonb_array_elements_text(cast(invoice_ids as jsonb))),
           min(at) over (partition by delivery_id),
           status, at, detail, revision, event_id, traceparent, cause_id
    from heard order by delivery_id, revision desc, event_id desc
    on conflict (delivery_id) do update set first_at = least(d.first_at, excluded.first_at), {_SET_STATE}
    where {_IS_NEWER} or excluded.first_at < d.first_at
""")  # noqa: S608 - our own fragments


async def fold_deliveries(session: AsyncSession, states: Sequence[DeliveryState]) -> None:
    await session.execute(
        _FOLD_DELIVERIES,
        {
            "delivery_ids": [s.delivery_id for s in states],
            "company_ids": [s.company_id for s in states],
            "kinds": [s.kind for s in states],
            "channels": [s.channel for s in states],
            "billing_cycles": [s.billing_cycle for s in states],
            # PostgreSQL has no arrays of arrays of different lengths: a row's list travels as JSON.
            "invoice_ids": [json.dumps(s.invoice_ids) for s in states],
            "statuses": [s.status for s in states],
            "at": [s.at for s in states],
            "details": [s.detail for s in states],
            "revisions": [s.envelope.revision or 0 for s in states],
            "event_ids": [s.envelope.event_id for s in states],
            "traceparents": [s.envelope.traceparent for s in states],
            "cause_ids": [s.envelope.causation_id for s in states],
        },
    )


# One ordered, limited branch a company id: each reads its page by index, however much is behind it.
_LIST_DELIVERIES = text("""
    select d.* from unnest(cast(:company_ids as uuid[])) as of_company (company_id)
    cross join lateral (
        select delivery_id, company_id, kind, channel, billing_cycle, invoice_ids, first_at, status, at,
               detail
        from deliveries
        where deliveries.company_id = of_company.company_id
          and (first_at, delivery_id) < (coalesce(cast(:before_at as timestamptz), 'infinity'),
                                         cast(:before_id as uuid))
        order by first_at desc, delivery_id desc limit :limit
    ) d
    order by first_at desc, delivery_id desc limit :limit
""")

Place = tuple[datetime, UUID]
"""Where a page ended: the moment and the id of its last row."""


async def list_deliveries(
    session: AsyncSession, company_ids: Sequence[UUID], *, before: Place | None, limit: int
) -> list[Row[Any]]:
    """Newest first, from after the place where the page before ended."""
    before_at, before_id = before or (None, None)
    values = {
        "company_ids": list(company_ids),
        "before_at": before_at,
        "before_id": before_id,
        "limit": limit,
    }
    return list((await session.execute(_LIST_DELIVERIES, values)).all())


@dataclass(frozen=True, slots=True)
class WantedDeliveries:
    """Which deliveries of all companies: all that is not None must hold."""

    kind: str | None = None
    status: str | None = None
    channel: str | None = None
    company_id: UUID | None = None


_FILTERS = ("kind", "status", "channel", "company_id")
_SHOWN = """
    d.delivery_id, d.company_id, d.kind, d.channel, d.billing_cycle, d.invoice_ids, d.first_at, d.status,
    d.at, d.detail, c.name as company_name
"""
_FIND_DELIVERY = text(f"""
    select {_SHOWN} from deliveries d left join companies c using (company_id)
    where d.delivery_id = :delivery_id
""")  # noqa: S608 - our own fragments

# By jumps through the index: as many reads as there are kinds.
_LIST_KINDS = text("""
    with recursive known as (
        (select kind from deliveries order by kind limit 1)
        union all
        select (select kind from deliveries where kind > known.kind order by kind limit 1)
        from known where known.kind is not null
    )
    select kind from known where kind is not null
""")


async def browse_deliveries(
    session: AsyncSession, wanted: WantedDeliveries, *, before: Place | None, limit: int
) -> list[Row[Any]]:
    """Of all companies, newest first, from after the place where the page before ended; with
    `company_name`, None for a company that is not in the directory."""
    values = {name: getattr(wanted, name) for name in _FILTERS if getattr(wanted, name) is not None}
    conditions = [f"{name} = :{name}" for name in values]
    if before is not None:
        conditions.append("(first_at, delivery_id) < (:before_at, :before_id)")
        values.update(before_at=before[0], before_id=before[1])
    statement = f"""
        select {_SHOWN} from (
            select * from deliveries where {" and ".join(conditions) or "true"}
            order by first_at desc, delivery_id desc limit :limit
        ) d left join companies c using (company_id)
        order by d.first_at desc, d.delivery_id desc
    """  # noqa: S608 - our own fragments
    return list((await session.execute(text(statement), {**values, "limit": limit})).all())


async def find_delivery(session: AsyncSession, delivery_id: UUID) -> Row[Any] | None:
    return (await session.execute(_FIND_DELIVERY, {"delivery_id": delivery_id})).first()


async def list_kinds(session: AsyncSession) -> list[str]:
    """Of which there is a delivery."""
    return list((await session.execute(_LIST_KINDS)).scalars())
