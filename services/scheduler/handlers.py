"""The scheduler's own copy of what it heard: folds, right in any order and however often."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.billing import (
    InvoiceClosed,
    InvoiceUnpaid,
    SubscriptionCanceled,
    SubscriptionChanged,
    SubscriptionStarted,
    TrialStarted,
)
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
    await queries.fold_subscribed(session, [(h.event.company_id, h.event.started_at) for h in heard])
    await queries.fold_subscriptions(session, [_begun(h.event) for h in heard])


@router.fold(TrialStarted)
async def keep_trials(heard: Sequence[Heard[TrialStarted]], session: AsyncSession) -> None:
    await queries.fold_subscriptions(session, [_begun(h.event) for h in heard])


def _begun(event: SubscriptionStarted | TrialStarted) -> SubscriptionHeard:
    return SubscriptionHeard(event.subscription_id, event.company_id, event.started_at)


@router.fold(SubscriptionCanceled)
async def keep_ends(heard: Sequence[Heard[SubscriptionCanceled]], session: AsyncSession) -> None:
    events = [h.event for h in heard]
    ends = [SubscriptionHeard(e.subscription_id, e.company_id, e.canceled_at, e.canceled_at) for e in events]
    await queries.fold_subscriptions(session, ends)


@router.fold(SubscriptionChanged)
async def keep_lifetimes(heard: Sequence[Heard[SubscriptionChanged]], session: AsyncSession) -> None:
    """« Abonné à vie » is subscribed without a subscription that starts."""
    granted = [h.event for h in heard if h.event.status == "lifetime"]
    await queries.fold_subscribed(session, [(event.company_id, event.changed_at) for event in granted])


@router.fold(InvoiceUnpaid)
async def keep_unpaid(heard: Sequence[Heard[InvoiceUnpaid]], session: AsyncSession) -> None:
    await queries.fold_unpaid(session, heard)


@router.fold(InvoiceClosed)
async def keep_closed(heard: Sequence[Heard[InvoiceClosed]], session: AsyncSession) -> None:
    await queries.fold_closed(session, heard)
