"""The copies of subscriptions, and what must be asked of Stripe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.integrations.stripe import Subscription
from services.billing.domain import SubscriptionCopy

_FIELDS = tuple(field.name for field in fields(Subscription) if field.name not in ("id", "customer_id"))
_COLUMNS = ", ".join(_FIELDS)

_LIST = text(f"""
    select subscription_id, stripe_customer_id, {_COLUMNS}, seen_at, is_fetched from subscriptions
    where subscription_id = any(cast(:ids as text[]))
""")  # noqa: S608 - our own column names

_SAVE = text(f"""
    insert into subscriptions
        (subscription_id, stripe_customer_id, company_id, {_COLUMNS}, seen_at, is_fetched)
    values (:subscription_id, :stripe_customer_id, :company_id, {", ".join(f":{name}" for name in _FIELDS)},
            :seen_at, :is_fetched)
    on conflict (subscription_id) do update
    set (company_id, {_COLUMNS}, seen_at, is_fetched) = (excluded.company_id,
        {", ".join(f"excluded.{name}" for name in _FIELDS)}, excluded.seen_at, excluded.is_fetched)
""")  # noqa: S608 - our own column names


async def list_copies(session: AsyncSession, subscription_ids: Sequence[str]) -> dict[str, SubscriptionCopy]:
    """By subscription, what is kept. Hold their companies' streams first."""
    rows = await session.execute(_LIST, {"ids": list(subscription_ids)})
    return {row.subscription_id: _copy(row) for row in rows}


def _copy(row: Row[Any]) -> SubscriptionCopy:
    values = {name: getattr(row, name) for name in _FIELDS}
    subscription = Subscription(id=row.subscription_id, customer_id=row.stripe_customer_id, **values)
    return SubscriptionCopy(subscription, row.seen_at, row.is_fetched)


async def save_copies(session: AsyncSession, copies: Sequence[tuple[SubscriptionCopy, UUID]]) -> None:
    """Each with the company that it is of."""
    values = [
        {name: getattr(copy.subscription, name) for name in _FIELDS}
        | {
            "subscription_id": copy.subscription.id,
            "stripe_customer_id": copy.subscription.customer_id,
            "company_id": company_id,
            "seen_at": copy.seen_at,
            "is_fetched": copy.is_fetched,
        }
        for copy, company_id in copies
    ]
    await session.execute(_SAVE, values)


_HAS_ANOTHER = text("""
    select exists (
        select from subscriptions where company_id = :company_id and subscription_id <> :subscription_id
          and status not in ('canceled', 'incomplete_expired', 'incomplete'))
""")


async def has_another(session: AsyncSession, company_id: UUID, subscription_id: str) -> bool:
    """Whether the company has a subscription that goes on, beside this one."""
    values = {"company_id": company_id, "subscription_id": subscription_id}
    return bool((await session.execute(_HAS_ANOTHER, values)).scalar_one())


@dataclass(frozen=True, slots=True)
class Refresh:
    """Something to fetch; `fence` is the claim's number."""

    kind: str
    object_id: str
    why: str
    fence: int
    failures: int


_ASK = text("""
    insert into refreshes (kind, object_id, why) values (:kind, :object_id, :why)
    on conflict (kind, object_id) do update
    set why = excluded.why, due_at = now(), lease_until = null, fence = refreshes.fence + 1
""")

_CLAIM = text("""
    update refreshes set fence = fence + 1, lease_until = now() + make_interval(secs => :lease_seconds)
    where (kind, object_id) in (
        select kind, object_id from refreshes
        where due_at <= now() and (lease_until is null or lease_until <= now())
        order by due_at limit 1 for update skip locked
    )
    returning kind, object_id, why, fence, failures
""")

_FINISH = text("""
    delete from refreshes where kind = :kind and object_id = :object_id and fence = :fence
""")

_POSTPONE = text("""
    update refreshes
    set lease_until = null, failures = failures + 1, last_failure = :failure,
        due_at = now() + make_interval(secs => :wait_seconds)
    where kind = :kind and object_id = :object_id and fence = :fence
""")


async def ask_stripe(session: AsyncSession, kind: str, object_id: str, why: str) -> None:
    """Have it fetched; a fetch under way, which may be too early, is followed by another."""
    await session.execute(_ASK, {"kind": kind, "object_id": object_id, "why": why})


async def claim_refresh(session: AsyncSession, *, lease_seconds: float) -> Refresh | None:
    row = (await session.execute(_CLAIM, {"lease_seconds": lease_seconds})).one_or_none()
    return None if row is None else Refresh(*row)


async def delete_refresh(session: AsyncSession, refresh: Refresh) -> None:
    values = {"kind": refresh.kind, "object_id": refresh.object_id, "fence": refresh.fence}
    await session.execute(_FINISH, values)


async def postpone_refresh(
    session: AsyncSession, refresh: Refresh, *, wait_seconds: float, failure: str
) -> None:
    values = {"kind": refresh.kind, "object_id": refresh.object_id, "fence": refresh.fence}
    await session.execute(_POSTPONE, values | {"wait_seconds": wait_seconds, "failure": failure})
