"""Which notices and deadlines of unpaid invoices will be told."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.scheduler import CutoffDue, UnpaidReminderDue
from services.scheduler.domain import CHECK_UNPAID, PARIS, Coming, Horizon, ReminderStage, cutoff_step
from services.scheduler.domain.coming import FIRST_ID
from services.scheduler.queries.unpaid import ANCHORS, EVERY_DEADLINE

_LIST_REMINDERS = text(f"""
    with {ANCHORS}
    select company_id, invoice_id, unpaid_at, customer_name, customer_email from anchors
    where unpaid_at <= cast(:newest_due as timestamptz) and unpaid_at > cast(:newest_expired as timestamptz)
      and (cast(:company_id as uuid) is null or company_id = :company_id)
      and (unpaid_at, company_id, cast(:prefix as text) || invoice_id collate "C")
          > (cast(:after_at as timestamptz), cast(:after_id as uuid), cast(:after_step as text))
      and not exists (
        select from occurrences o where o.routine = :routine and o.company_id = anchors.company_id
          and o.step = cast(:prefix as text) || anchors.invoice_id)
    order by unpaid_at, company_id limit :limit
""")  # noqa: S608 - our own fragment

_LIST_CUTOFFS = text(f"""
    with {ANCHORS}, {EVERY_DEADLINE}
    select distinct on (company_id) company_id, deadline_at, customer_name, customer_email from every
    where deadline_at < cast(:morning as timestamptz)
      and (cast(:company_id as uuid) is null or company_id = :company_id)
      and (company_id, cast(:step as text) collate "C") > (cast(:after_id as uuid), cast(:after_step as text))
      and not exists (
        select from occurrences o
        where o.routine = :routine and o.company_id = every.company_id and o.step = :step)
    order by company_id, deadline_at limit :limit
""")  # noqa: S608 - our own fragment


async def list_coming_reminders(
    session: AsyncSession, stage: ReminderStage, horizon: Horizon
) -> list[Coming]:
    """Whose notice of this stage will be due by then, soonest first."""
    newest_expired = horizon.now - stage.offset - stage.too_late
    after_at, after_id, after_step = newest_expired, FIRST_ID, ""
    if horizon.after is not None:
        due_at, after_id, after_step = horizon.after
        after_at = due_at - stage.offset
    values = {
        "routine": CHECK_UNPAID,
        "prefix": stage.prefix,
        "newest_due": horizon.until - stage.offset,
        "newest_expired": newest_expired,
        "company_id": horizon.company_id,
        "after_at": after_at,
        "after_id": after_id,
        "after_step": after_step,
        "limit": horizon.limit,
    }
    return [
        Coming(
            routine=CHECK_UNPAID,
            step=f"{stage.prefix}{row.invoice_id}",
            company_id=UUID(str(row.company_id)),
            fact=UnpaidReminderDue.type,
            due_at=row.unpaid_at + stage.offset,
            expires_at=row.unpaid_at + stage.offset + stage.too_late,
            name=row.customer_name,
            email=row.customer_email,
            why=f"facture {row.invoice_id} impayée depuis le {row.unpaid_at.astimezone(PARIS):%d/%m/%Y}, "
            f"avis n° {stage.stage}",
        )
        for row in (await session.execute(_LIST_REMINDERS, values)).all()
    ]


async def list_coming_cutoffs(session: AsyncSession, morning: datetime, horizon: Horizon) -> list[Coming]:
    """Whose deadline will have passed by this morning, if nobody pays."""
    after_id, after_step = FIRST_ID, ""
    if horizon.after is not None:
        if morning < horizon.after[0]:
            return []
        if morning == horizon.after[0]:
            _, after_id, after_step = horizon.after
    values = {
        "routine": CHECK_UNPAID,
        "step": cutoff_step(morning),
        "morning": morning,
        "company_id": horizon.company_id,
        "after_id": after_id,
        "after_step": after_step,
        "limit": horizon.limit,
    }
    return [
        Coming(
            routine=CHECK_UNPAID,
            step=cutoff_step(morning),
            company_id=UUID(str(row.company_id)),
            fact=CutoffDue.type,
            due_at=morning,
            name=row.customer_name,
            email=row.customer_email,
            why=f"échéance passée le {row.deadline_at.astimezone(PARIS):%d/%m/%Y à %H:%M}",
        )
        for row in (await session.execute(_LIST_CUTOFFS, values)).all()
    ]
