"""What is known of companies' subscriptions and phone numbers, as far as messages depend on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.notifications.domain import ABOUT_ACCOUNTS, Delivery

# Each moment is kept as it was told, whichever came first: an end that is heard before its beginning counts.
_MARK_STARTED = text("""
    insert into subscriptions as s (company_id, subscription_id, started_at)
    values (:company_id, :subscription_id, :started_at)
    on conflict (company_id, subscription_id) do update set started_at = excluded.started_at
""")

_MARK_ENDED = text("""
    insert into subscriptions as s (company_id, subscription_id, ended_at)
    values (:company_id, :subscription_id, :ended_at)
    on conflict (company_id, subscription_id) do update set ended_at = excluded.ended_at
""")

_MARK_ASSIGNED = text("""
    insert into numbers as n (company_id, number, assigned_at) values (:company_id, :number, :assigned_at)
    on conflict (company_id, number) do update set assigned_at = greatest(n.assigned_at, excluded.assigned_at)
""")

_MARK_RELEASED = text("""
    insert into numbers as n (company_id, number, released_at) values (:company_id, :number, :released_at)
    on conflict (company_id, number) do update set released_at = greatest(n.released_at, excluded.released_at)
""")


async def mark_subscription_started(
    session: AsyncSession, company_id: UUID, subscription_id: str, *, started_at: datetime
) -> None:
    values = {"company_id": company_id, "subscription_id": subscription_id, "started_at": started_at}
    await session.execute(_MARK_STARTED, values)


async def mark_subscription_ended(
    session: AsyncSession, company_id: UUID, subscription_id: str, *, ended_at: datetime
) -> None:
    values = {"company_id": company_id, "subscription_id": subscription_id, "ended_at": ended_at}
    await session.execute(_MARK_ENDED, values)


async def mark_number_assigned(
    session: AsyncSession, company_id: UUID, number: str, *, assigned_at: datetime
) -> None:
    values = {"company_id": company_id, "number": number, "assigned_at": assigned_at}
    await session.execute(_MARK_ASSIGNED, values)


async def mark_number_released(
    session: AsyncSession, company_id: UUID, number: str, *, released_at: datetime
) -> None:
    values = {"company_id": company_id, "number": number, "released_at": released_at}
    await session.execute(_MARK_RELEASED, values)


@dataclass(slots=True)
class Account:
    """A company's subscriptions and the numbers that it has no more."""

    running_subscription_ids: set[str] = field(default_factory=set)
    ended_subscription_ids: set[str] = field(default_factory=set)
    released_numbers: set[str] = field(default_factory=set)


_LIST_SUBSCRIPTIONS = text("""
    select company_id, subscription_id, ended_at is not null as is_ended from subscriptions
    where company_id = any(cast(:company_ids as uuid[]))
""")

_LIST_RELEASED = text("""
    select company_id, number from numbers
    where company_id = any(cast(:company_ids as uuid[]))
      and released_at >= coalesce(assigned_at, released_at)
""")


async def list_accounts(session: AsyncSession, deliveries: Sequence[Delivery]) -> Mapping[UUID, Account]:
    """By company, of those whose message depends on it; nothing else asks."""
    accounts: dict[UUID, Account] = defaultdict(Account)
    asking = [delivery.company_id for delivery in deliveries if delivery.kind in ABOUT_ACCOUNTS]
    if not asking:
        return accounts
    for row in await session.execute(_LIST_SUBSCRIPTIONS, {"company_ids": asking}):
        account = accounts[row.company_id]
        ids = account.ended_subscription_ids if row.is_ended else account.running_subscription_ids
        ids.add(row.subscription_id)
    for row in await session.execute(_LIST_RELEASED, {"company_ids": asking}):
        accounts[row.company_id].released_numbers.add(row.number)
    return accounts
