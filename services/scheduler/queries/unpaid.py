"""Unpaid invoices as billing told them, whose next notice is due, and whose deadline has passed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.billing import InvoiceClosed, InvoiceUnpaid
from libs.common.router import Heard
from services.scheduler.domain import CHECK_UNPAID, Cutoff, Reminder, ReminderStage, Status, cutoff_step

_TOLD = (
    "company_id", "deadline_at", "currency", "customer_name", "customer_email", "told_at", "event_id",
    "traceparent",
)  # fmt: skip
_IS_NEWER = "(u.told_at is null or (u.told_at, u.event_id) < (excluded.told_at, excluded.event_id))"

# Unpaid since the first telling; all else is as the last one said, under which company too: a Stripe customer
# may have been linked meanwhile.
_FOLD_UNPAID = text(f"""
    insert into unpaid_invoices as u (invoice_id, unpaid_at, {", ".join(_TOLD)})
    select distinct on (invoice_id) invoice_id, min(told_at) over (partition by invoice_id),
           {", ".join(_TOLD)}
    from unnest(
        cast(:invoice_ids as text[]), cast(:company_ids as uuid[]), cast(:deadlines as timestamptz[]),
        cast(:currencies as text[]), cast(:names as text[]), cast(:emails as text[]),
        cast(:told_at as timestamptz[]), cast(:event_ids as uuid[]), cast(:traceparents as text[])
    ) as heard (invoice_id, {", ".join(_TOLD)})
    order by invoice_id, told_at desc, event_id desc
    on conflict (invoice_id) do update set
        unpaid_at = least(u.unpaid_at, excluded.unpaid_at),
        {", ".join(f"{c} = case when {_IS_NEWER} then excluded.{c} else u.{c} end" for c in _TOLD)}
""")  # noqa: S608 - our own column names

# Nothing reopens a closed invoice, whichever was heard first.
_FOLD_CLOSED = text("""
    insert into unpaid_invoices as u (invoice_id, closed_at)
    select invoice_id, min(closed_at)
    from unnest(cast(:invoice_ids as text[]), cast(:closed_at as timestamptz[]))
        as heard (invoice_id, closed_at)
    group by invoice_id order by invoice_id
    on conflict (invoice_id) do update set closed_at = least(u.closed_at, excluded.closed_at)
""")


async def fold_unpaid(session: AsyncSession, heard: Sequence[Heard[InvoiceUnpaid]]) -> None:
    await session.execute(
        _FOLD_UNPAID,
        {
            "invoice_ids": [h.event.invoice_id for h in heard],
            "company_ids": [h.event.company_id for h in heard],
            "deadlines": [h.event.invoice_deadline_at or h.event.deadline_at for h in heard],
            "currencies": [h.event.currency for h in heard],
            "names": [h.event.customer_name for h in heard],
            "emails": [h.event.customer_email for h in heard],
            "told_at": [h.envelope.time for h in heard],
            "event_ids": [h.envelope.event_id for h in heard],
            "traceparents": [h.envelope.traceparent for h in heard],
        },
    )


async def fold_closed(session: AsyncSession, heard: Sequence[Heard[InvoiceClosed]]) -> None:
    await session.execute(
        _FOLD_CLOSED,
        {
            "invoice_ids": [h.event.invoice_id for h in heard],
            "closed_at": [h.event.closed_at for h in heard],
        },
    )


# The earliest of each company that is still open: what its ages and its deadline are counted from.
ANCHORS = """
    anchors as materialized (
        select distinct on (company_id) company_id, invoice_id, unpaid_at, deadline_at, currency,
               customer_name, customer_email, event_id, traceparent
        from unpaid_invoices where closed_at is null and unpaid_at is not null
        order by company_id, unpaid_at, invoice_id
    )
"""

_ADD_REMINDERS = text(f"""
    with {ANCHORS}, due as materialized (
        select *, cast(:prefix as text) || invoice_id as step from anchors
        where unpaid_at <= cast(:newest_due as timestamptz) and not exists (
            select from occurrences o where o.routine = :routine and o.company_id = anchors.company_id
              and o.step = cast(:prefix as text) || anchors.invoice_id)
        order by unpaid_at, company_id limit :limit
    ), added as (
        insert into occurrences (routine, company_id, step, due_at, expires_at, status, why, decided_at)
        select :routine, company_id, step, unpaid_at + cast(:due_after as interval),
               unpaid_at + cast(:expires_after as interval),
               case when unpaid_at <= cast(:newest_expired as timestamptz) then 'skipped' else 'told' end,
               case when unpaid_at <= cast(:newest_expired as timestamptz) then 'too_late' end, :now
        from due order by company_id
        on conflict (routine, company_id, step) do nothing
        returning company_id, due_at, status
    )
    select due.*, added.due_at, added.status
    from due left join added using (company_id)
    order by unpaid_at, company_id
""")  # noqa: S608 - our own fragment


async def add_due_reminders(
    session: AsyncSession, stage: ReminderStage, *, morning: datetime, now: datetime, limit: int
) -> tuple[int, list[Reminder]]:
    """For at most `limit` companies whose notice of this stage was due by this morning; answers with how
    many, and with what is new."""
    rows = (
        await session.execute(
            _ADD_REMINDERS,
            {
                "routine": CHECK_UNPAID,
                "prefix": stage.prefix,
                "newest_due": morning - stage.offset,
                "newest_expired": morning - stage.offset - stage.too_late,
                "due_after": stage.offset,
                "expires_after": stage.offset + stage.too_late,
                "now": now,
                "limit": limit,
            },
        )
    ).all()
    return len(rows), [_reminder(row) for row in rows if row.status is not None]


def _reminder(row: Row[Any]) -> Reminder:
    return Reminder(
        company_id=row.company_id,
        anchor_invoice_id=row.invoice_id,
        due_at=row.due_at,
        deadline_at=row.deadline_at,
        currency=row.currency,
        customer_name=row.customer_name,
        customer_email=row.customer_email,
        status=Status(row.status),
        event_id=row.event_id,
        traceparent=row.traceparent,
    )


# Told of a linked company too: billing knows under which of the two an invoice stands.
EVERY_DEADLINE = """
    every as (
        select company_id, deadline_at, event_id, traceparent, customer_name, customer_email from anchors
        union all
        select l.company_id, a.deadline_at, a.event_id, a.traceparent, a.customer_name, a.customer_email
        from anchors a join customer_links l on l.provisional_company_id = a.company_id
    )
"""

_ADD_CUTOFFS = text(f"""
    with {ANCHORS}, {EVERY_DEADLINE}, overdue as materialized (
        select distinct on (company_id) company_id, deadline_at, event_id, traceparent
        from every where deadline_at < cast(:morning as timestamptz) and not exists (
            select from occurrences o
            where o.routine = :routine and o.company_id = every.company_id and o.step = :step)
        order by company_id, deadline_at limit :limit
    ), added as (
        insert into occurrences (routine, company_id, step, due_at, expires_at, status, decided_at)
        select :routine, company_id, :step, cast(:morning as timestamptz), cast(:expires_at as timestamptz),
               'told', :now
        from overdue order by company_id
        on conflict (routine, company_id, step) do nothing
        returning company_id
    )
    select overdue.*, added.company_id is not null as is_new
    from overdue left join added using (company_id) order by company_id
""")  # noqa: S608 - our own fragment


async def add_due_cutoffs(
    session: AsyncSession, *, morning: datetime, now: datetime, limit: int
) -> tuple[int, list[Cutoff]]:
    """For at most `limit` companies whose deadline was passed by this morning; answers with how many, and
    with what is new."""
    values = {
        "routine": CHECK_UNPAID,
        "step": cutoff_step(morning),
        "morning": morning,
        "expires_at": morning + timedelta(days=1),
        "now": now,
        "limit": limit,
    }
    rows = (await session.execute(_ADD_CUTOFFS, values)).all()
    return len(rows), [
        Cutoff(UUID(str(row.company_id)), row.deadline_at, row.event_id, row.traceparent)
        for row in rows
        if row.is_new
    ]
