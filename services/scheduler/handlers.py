"""The scheduler's own copy of what it heard: folds, right in any order and however often."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.billing import SubscriptionCanceled, SubscriptionStarted, TrialStarted
from libs.common.events.directory import CompanyRegistered, StripeCustomerLinked
from libs.common.router import EventRouter, Heard
from services.scheduler import queries
from services.scheduler.queries import SubscriptionHeard

router = EventRouter("scheduler")


@router.fold(CompanyRegistered)
async def keep_companies(heard: Sequence[Heard[CompanyRegistered]], session: AsyncSession) -> None:
    await queries.fold_registered(session, heard)


@router.fold(StripeCustomerLinked)
async def keep_links(heard: Sequence[Heard[StripeCustomerLinked]], session: AsyncSession) -> None:
    await queries.fold_linked(session, heard)


@router.fold(SubscriptionStarted)
async def keep_subscriptions(heard: Sequence[Heard[SubscriptionStarted]], session: AsyncSession) -> None:
    await queries.fold_subscribed(session, heard)
    subscriptions = [
        SubscriptionHeard(h.event.subscription_id, h.event.company_id, h.event.started_at) for h in heard
    ]
    await queries.fold_subscriptions(session, subscriptions)


@router.fold(TrialStarted)
async def keep_trials(heard: Sequence[Heard[TrialStarted]], session: AsyncSession) -> None:
    subscriptions = [
        SubscriptionHeard(h.event.subscription_id, h.event.company_id, h.event.started_at) for h in heard
    ]
    await queries.fold_subscriptions(session, subscriptions)


@router.fold(SubscriptionCanceled)
async def keep_ends(heard: Sequence[Heard[SubscriptionCanceled]], session: AsyncSession) -> None:
    events = [h.event for h in heard]
    ends = [SubscriptionHeard(e.subscription_id, e.company_id, e.canceled_at, e.canceled_at) for e in events]
    await queries.fold_subscriptions(session, ends)
