"""Whose Stripe customer it is, and who needs none: what people say of a company's subscriptions."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from libs.common.database import Uow
from libs.common.events import provisional_company_id
from libs.common.events.directory import LifetimeGranted
from libs.integrations.stripe import Subscription
from services.billing import domain, queries
from services.billing.domain import LIFETIME, SubscriptionCopy


async def link(stripe_customer_id: str, company_id: UUID, uow: Uow) -> None:
    """From now on the customer is the company, whatever Stripe's metadata says."""
    await uow.lock(str(company_id))
    await queries.debtors.name_customers(
        uow.session, [(stripe_customer_id, company_id)], at=uow.now, is_final=True
    )
    await move(stripe_customer_id, company_id, uow)


async def move(stripe_customer_id: str, company_id: UUID, uow: Uow) -> None:
    """A customer's open cases and subscriptions are the company's, which is held; what state its
    subscriptions are in is told of the company, which missed it."""
    provisional = provisional_company_id(stripe_customer_id)
    await queries.lines.settle_questions(uow.session, provisional, uow.now)
    moved = await queries.debtors.move_to_company(uow.session, stripe_customer_id, company_id)
    for copy in (await queries.subscriptions.list_copies(uow.session, moved)).values():
        as_news = replace(copy, seen_at=uow.now)
        for event in domain.told_of(company_id, None, as_news, has_another=False):
            await uow.publish(event)


async def grant_lifetime(granted: LifetimeGranted, uow: Uow) -> None:
    """A subscription of our own making, that Stripe knows nothing of; taken back, it ends."""
    await uow.lock(str(granted.company_id))
    copy = SubscriptionCopy(_lifetime(granted), granted.granted_at)
    subscription_id = copy.subscription.id
    kept = (await queries.subscriptions.list_copies(uow.session, [subscription_id])).get(subscription_id)
    if kept is not None and kept.seen_at >= copy.seen_at:
        return
    await queries.subscriptions.save_copies(uow.session, [(copy, granted.company_id)])
    for event in domain.told_of(granted.company_id, kept, copy, has_another=False):
        await uow.publish(event)


def _lifetime(granted: LifetimeGranted) -> Subscription:
    return Subscription(
        id=f"{LIFETIME}:{granted.company_id}",
        customer_id="",
        status=LIFETIME if granted.is_granted else "canceled",
        plan_id=LIFETIME,
        plan="Abonné à vie",
        monthly_cents=0,
        currency=None,
        started_at=granted.granted_at,
        trial_ends_at=None,
        period_ends_at=None,
        ends_at=None,
        ended_at=None if granted.is_granted else granted.granted_at,
        cancel_reason=None if granted.is_granted else granted.reason,
    )
