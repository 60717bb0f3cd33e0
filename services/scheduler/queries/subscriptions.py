"""The subscriptions that are compared with Stripe's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.scheduler import SubscriptionCheckDue
from services.scheduler.domain import CHECK_SUBSCRIPTIONS, PARIS, Coming, Horizon
from services.scheduler.domain.coming import FIRST_ID

# In any order: the earliest start with its company, and an end that is never taken back.
_FOLD_SUBSCRIPTIONS = text("""
    insert into subscriptions as s (subscription_id, company_id, started_at, ended_at)
    select distinct on (subscription_id) subscription_id, company_id,
           min(at) over (partition by subscription_id), min(ended_at) over (partition by subscription_id)
    from unnest(
        cast(:subscription_ids as text[]), cast(:company_ids as uuid[]), cast(:at as timestamptz[]),
        cast(:ended_at as timestamptz[])
    ) as heard (subscription_id, company_id, at, ended_at)
    order by subscription_id, at
    on conflict (subscription_id) do update set
        company_id = case when excluded.started_at < s.started_at then excluded.company_id
                     else s.company_id end,
        started_at = least(s.started_at, excluded.started_at),
        ended_at = least(s.ended_at, excluded.ended_at)
""")

_CLAIM_CHECKS = text("""
    with due as (
        select subscription_id from subscriptions
        where ended_at is null and checked_on < :due_on and started_at <= :due_at
        order by checked_on, subscription_id limit :limit for update
    )
    update subscriptions s set checked_on = :due_on from due
    where s.subscription_id = due.subscription_id
    returning s.company_id, s.subscription_id
""")


@dataclass(frozen=True, slots=True)
class SubscriptionHeard:
    """A subscription as one fact tells of it."""

    subscription_id: str
    company_id: UUID
    at: datetime
    ended_at: datetime | None = None


async def fold_subscriptions(session: AsyncSession, heard: Sequence[SubscriptionHeard]) -> None:
    values = {
        "subscription_ids": [h.subscription_id for h in heard],
        "company_ids": [h.company_id for h in heard],
        "at": [h.at for h in heard],
        "ended_at": [h.ended_at for h in heard],
    }
    await session.execute(_FOLD_SUBSCRIPTIONS, values)


async def claim_due_checks(
    session: AsyncSession, due_at: datetime, due_on: date, *, limit: int
) -> list[Row[Any]]:
    """Rows with `company_id` and `subscription_id` that had begun by then, each once for each day."""
    values = {"due_at": due_at, "due_on": due_on, "limit": limit}
    return list(await session.execute(_CLAIM_CHECKS, values))


_LIST_COMING = text("""
    select company_id, subscription_id, started_at from subscriptions
    where ended_at is null and checked_on < :due_on and started_at <= :due_at
      and (cast(:company_id as uuid) is null or company_id = :company_id)
      and (company_id, subscription_id collate "C")
          > (cast(:after_company as uuid), cast(:after_subscription as text))
    order by company_id, subscription_id collate "C" limit :limit
""")


async def list_coming_checks(session: AsyncSession, due_at: datetime, horizon: Horizon) -> list[Coming]:
    """What the moment will tell, in the order of places."""
    after_company, after_subscription = FIRST_ID, ""
    if horizon.after is not None:
        if due_at < horizon.after[0]:
            return []
        if due_at == horizon.after[0]:
            _, after_company, step = horizon.after
            prefix, _, named = step.partition(":")
            after_subscription = named if prefix == "check" else "" if step < "check:" else "\U0010ffff"
    values = {
        "due_at": due_at,
        "due_on": due_at.astimezone(PARIS).date(),
        "company_id": horizon.company_id,
        "after_company": after_company,
        "after_subscription": after_subscription,
        "limit": horizon.limit,
    }
    return [
        Coming(
            routine=CHECK_SUBSCRIPTIONS,
            step=f"check:{row.subscription_id}",
            company_id=UUID(str(row.company_id)),
            fact=SubscriptionCheckDue.type,
            due_at=due_at,
            why=f"abonnement {row.subscription_id} en cours depuis le "
            f"{row.started_at.astimezone(PARIS):%d/%m/%Y}",
        )
        for row in (await session.execute(_LIST_COMING, values)).all()
    ]
