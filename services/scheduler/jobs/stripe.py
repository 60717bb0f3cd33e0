"""What is asked about Stripe: missed events, cards that expire, whether subscriptions are as it has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Uow
from libs.common.events.scheduler import CardCheckDue, StripeReconciliationDue, SubscriptionCheckDue
from services.scheduler import queries
from services.scheduler.domain import PARIS, Coming, Horizon, Routine
from services.scheduler.jobs.work import BATCH, Batch, Work


async def tell_reconciliation(uow: Uow, due_at: datetime) -> Batch:
    """Asks for the walk through Stripe's events, once for each moment of the routine."""
    await uow.publish(StripeReconciliationDue(due_at=due_at))
    return Batch(0, told=1)


async def tell_card_check(uow: Uow, due_at: datetime) -> Batch:
    """Asks each morning whose card expires soon. A morning that was slept through is not made up for: a card
    is in its last days on the next one too."""
    await uow.publish(CardCheckDue(due_on=due_at.astimezone(PARIS).date()))
    return Batch(0, told=1)


async def tell_subscription_checks(uow: Uow, due_at: datetime) -> Batch:
    """Of each subscription that was heard of and goes on, once a day."""
    due_on = due_at.astimezone(PARIS).date()
    claimed = await queries.claim_due_checks(uow.session, due_at, due_on, limit=BATCH)
    for row in claimed:
        await uow.publish(
            SubscriptionCheckDue(
                company_id=row.company_id, subscription_id=row.subscription_id, due_on=due_on
            )
        )
    return Batch(len(claimed), told=len(claimed))


async def list_coming_checks(session: AsyncSession, routine: Routine, horizon: Horizon) -> Sequence[Coming]:
    found: list[Coming] = []
    for due_at in routine.slots_between(horizon.now, horizon.until):
        found.extend(await queries.list_coming_checks(session, due_at, horizon))
    return found[: horizon.limit]


RECONCILE_STRIPE = Work(tell_reconciliation, reads_first=False)
CHECK_CARDS = Work(tell_card_check, reads_first=False)
CHECK_SUBSCRIPTIONS = Work(tell_subscription_checks, list_coming_checks)
