"""What billing tells of subscriptions: remember it, and write to whom it is about."""

from __future__ import annotations

from libs.common.database import Uow
from libs.common.events.billing import SubscriptionCanceled, SubscriptionChanged, SubscriptionStarted
from services.notifications import domain, queries
from services.notifications.handlers.queueing import lock, queue
from services.notifications.handlers.router import router


@router.on(SubscriptionStarted)
async def queue_subscription_started_mail(event: SubscriptionStarted, uow: Uow) -> None:
    await lock(event, uow)
    await queries.add_subscribed(uow.session, event.company_id, started_at=event.started_at)
    await queries.mark_subscription_started(
        uow.session, event.company_id, event.subscription_id, started_at=event.started_at
    )
    await queue(domain.subscription_started(event), uow)


@router.on(SubscriptionChanged)
async def queue_subscription_changed_mail(event: SubscriptionChanged, uow: Uow) -> None:
    """« Abonné à vie » is subscribed without a subscription that starts."""
    await lock(event, uow)
    if event.status == "lifetime":
        await queries.add_subscribed(uow.session, event.company_id, started_at=event.changed_at)
    message = domain.subscription_changed(event)
    if message is not None:
        await queue(message, uow)


@router.on(SubscriptionCanceled)
async def queue_subscription_canceled_mail(event: SubscriptionCanceled, uow: Uow) -> None:
    await lock(event, uow)
    await queries.mark_subscription_ended(
        uow.session, event.company_id, event.subscription_id, ended_at=event.canceled_at
    )
    await queue(domain.subscription_canceled(event), uow)
