"""The routine `check_stripe_enterprise_subscription`: off unless set, once for each subscription and day."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from libs.common.events.billing import SubscriptionCanceled, TrialStarted
from libs.common.events.scheduler import SubscriptionCheckDue
from services.scheduler.app import create_app
from services.scheduler.domain import PARIS
from tests.integration.scheduler.builders import HandClock, scheduler_settings, subscribed
from tests.world import World, until

MIDNIGHT = datetime(2026, 12, 1, tzinfo=PARIS)
BEFORE = MIDNIGHT - timedelta(minutes=1)


async def checked(world: World) -> list[tuple[str, str]]:
    facts = await world.told(SubscriptionCheckDue)
    return sorted((fact.subscription_id, fact.due_on.isoformat()) for fact in facts)


async def test_each_subscription_that_goes_on_is_checked_once_a_day_by_two_schedulers(world: World) -> None:
    clock = HandClock(BEFORE)
    company = uuid4()
    settings = scheduler_settings(world, check_stripe_enterprise_subscription=True)
    async with (
        world.running(create_app(settings, clock=clock)),
        world.running(create_app(settings, clock=clock)),
    ):
        for event in (
            subscribed(company, subscription_id="sub_1", at=BEFORE),
            TrialStarted(
                company_id=company, subscription_id="sub_2", started_at=BEFORE, trial_ends_at=MIDNIGHT
            ),
            subscribed(company, subscription_id="sub_3", at=BEFORE),
            SubscriptionCanceled(company_id=company, subscription_id="sub_3", canceled_at=BEFORE),
            subscribed(company, subscription_id="sub_4", at=MIDNIGHT + timedelta(hours=1)),
        ):
            await world.tell(event)

        async def all_heard() -> bool:
            rows = await world.rows("scheduler", "select ended_at from subscriptions")
            return len(rows) == 4 and sum(row["ended_at"] is not None for row in rows) == 1

        await until(all_heard, what="all four subscriptions")
        assert await checked(world) == []
        clock.now = MIDNIGHT

        async def both() -> bool:
            return len(await checked(world)) == 2

        await until(both, what="both checks")
        clock.now = MIDNIGHT + timedelta(days=14)

        async def again() -> bool:
            return len(await checked(world)) == 5

        await until(again, what="the checks of the 15th")
    assert await checked(world) == [
        ("sub_1", "2026-12-01"), ("sub_1", "2026-12-15"), ("sub_2", "2026-12-01"), ("sub_2", "2026-12-15"),
        ("sub_4", "2026-12-15"),
    ]  # fmt: skip
