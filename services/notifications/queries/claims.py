"""Claims: whose deliveries are due, which are taken to be sent, which were never heard of again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Result, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from services.notifications.domain import Channel, Delivery, Letter, Status
from services.notifications.queries.deliveries import COLUMNS, as_delivery, selected, table

_LIST_DUE_COMPANIES = text("""
    select company_id from (
        select company_id, due_at, created_at from deliveries
        where status = 'pending' and channel = :channel and due_at <= :now
        order by due_at, created_at limit :limit
    ) due group by company_id order by min(due_at), min(created_at)
""")


async def list_due_companies(
    session: AsyncSession, channel: Channel, *, now: datetime, limit: int
) -> list[UUID]:
    """Companies of the channel's `limit` deliveries that have been due for longest."""
    values = {"channel": channel, "now": now, "limit": limit}
    return list((await session.execute(_LIST_DUE_COMPANIES, values)).scalars())


# Companies come before rows in the one order of locks; those that a handler or another claimer holds are
# passed over, so that nobody waits and no two claimers see the same delivery.
_LOCK_FREE_COMPANIES = text("""
    select cast(key as uuid) from streams
    where key = any(cast(:keys as text[]))
    order by array_position(cast(:keys as text[]), key) limit :limit
    for update skip locked
""")


async def lock_free_companies(
    session: AsyncSession, company_ids: Sequence[UUID], *, limit: int
) -> list[UUID]:
    """At most `limit` of them, whose streams nobody else holds; held until the transaction ends."""
    values = {"keys": [str(company_id) for company_id in company_ids], "limit": limit}
    return list((await session.execute(_LOCK_FREE_COMPANIES, values)).scalars())


# One a company: what is decided on the second depends on what the first one says. The highest stage goes
# first, so that the milder reminders that waited with it fall away.
_CLAIM_NEXT = text(f"""
    select {", ".join(f"d.{name}" for name in COLUMNS)}
    from unnest(cast(:company_ids as uuid[])) as locked (company_id)
    cross join lateral (
        select * from deliveries
        where company_id = locked.company_id and status = 'pending' and channel = :channel
          and due_at <= :now
        order by stage desc nulls last, due_at, created_at, id limit 1
        for update skip locked
    ) d
""").columns(context=JSONB)  # noqa: S608 - our own column names


async def claim_next_deliveries(
    session: AsyncSession, company_ids: Sequence[UUID], channel: Channel, *, now: datetime
) -> list[Delivery]:
    """The channel's next due delivery of each of these locked companies, its row locked too."""
    values = {"company_ids": list(company_ids), "channel": channel, "now": now}
    return [as_delivery(row) for row in await session.execute(_CLAIM_NEXT, values)]


_MARK_SENDING = text("""
    with letters as (
        select * from unnest(
            cast(:ids as uuid[]), cast(:contents as bytea[]), cast(:message_ids as text[]),
            cast(:invoice_ids as text[]), cast(:recipients as text[]), cast(:template_versions as text[]),
            cast(:waits as boolean[])
        ) as l (id, content, message_id, invoice_ids, recipient, template_version, waits)
    ), marked as (
        update deliveries d
        set status = 'sending', fence = nextval('delivery_fences'), attempts = d.attempts + 1, why = null,
            answer = null, content = l.content, message_id = l.message_id,
            recipient = l.recipient, template_version = l.template_version,
            invoice_ids = array(select json_array_elements_text(cast(l.invoice_ids as json))),
            sending_at = cast(:now as timestamptz), lease_until = cast(:lease_until as timestamptz),
            waits_for_turn = l.waits
        from letters l where d.id = l.id and d.status = 'pending'
        returning d.id, d.fence
    ), noted as (
        insert into delivery_states (delivery_id, status, at)
        select id, 'sending', cast(:now as timestamptz) from marked
    )
    select id, fence from marked
""")


async def mark_sending(
    session: AsyncSession, letters: Sequence[Letter], *, at_once: int, now: datetime, lease_until: datetime
) -> dict[UUID, int]:
    """Keeps the bytes that are about to be sent; answers with the fence of each claim, by delivery id.

    The letters after the first `at_once` wait for their turn: they are not sent before `mark_begun`.
    """
    values = {
        "ids": [letter.delivery.id for letter in letters],
        "contents": [letter.content for letter in letters],
        "message_ids": [letter.message_id for letter in letters],
        "invoice_ids": [json.dumps(letter.delivery.invoice_ids) for letter in letters],
        "recipients": [letter.recipient for letter in letters],
        "template_versions": [letter.template_version for letter in letters],
        "waits": [place >= at_once for place in range(len(letters))],
        "now": now,
        "lease_until": lease_until,
    }
    return {row.id: row.fence for row in await session.execute(_MARK_SENDING, values)}


# In the order of ids, as nobody locks the companies first: two who take the same rows cannot deadlock.
_MARK_BEGUN = text("""
    with mine as (
        select d.id from deliveries d
        join unnest(cast(:ids as uuid[]), cast(:fences as bigint[])) as m (id, fence) using (id)
        where d.fence = m.fence and d.status = 'sending' and d.waits_for_turn
        order by d.id for update of d
    )
    update deliveries d set waits_for_turn = false from mine where d.id = mine.id returning d.id
""")


async def mark_begun(session: AsyncSession, letters: Sequence[Letter]) -> set[UUID]:
    """Ids of those whose claim holds and whose turn has come: from now on nobody can tell that they were not
    sent."""
    values = {
        "ids": [letter.delivery.id for letter in letters],
        "fences": [letter.delivery.fence for letter in letters],
    }
    return set((await session.execute(_MARK_BEGUN, values)).scalars())


async def list_expired_claims(
    session: AsyncSession, *, now: datetime, limit: int
) -> list[tuple[Delivery, bool]]:
    """Deliveries that somebody claimed, and whose lease ran out without a word; whether they still waited for
    their turn."""
    statement = (
        select(*selected, table.c.waits_for_turn)
        .where(table.c.status == Status.SENDING, table.c.lease_until < now)
        .order_by(table.c.lease_until)
        .limit(limit)
    )
    rows: Result[Any] = await session.execute(statement)
    return [(as_delivery(row), row.waits_for_turn) for row in rows]


async def count_unknown(session: AsyncSession) -> int:
    statement = select(func.count()).select_from(table).where(table.c.status == Status.UNKNOWN)
    return int((await session.execute(statement)).scalar_one())
