"""A subscription is compared with Stripe's: what is different is told and corrected."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

from libs.common.events.billing import SubscriptionStarted
from libs.common.events.scheduler import SubscriptionCheckDue
from tests.integration.billing.conftest import Billing
from tests.world import until

DUE_ON = date(2026, 12, 1)


async def outcome_of(billing: Billing, subscription_id: str, due_on: date = DUE_ON) -> str:
    company = uuid4()
    due = SubscriptionCheckDue(company_id=company, subscription_id=subscription_id, due_on=due_on)
    envelope = await billing.world.tell(due, copies=2)

    async def look() -> str | None:
        rows = await billing.world.rows(
            "billing",
            """select outcome, causation_id from subscription_checks
               where subscription_id = $1 and due_on = $2""",
            subscription_id,
            due_on,
        )
        assert all(row["causation_id"] == envelope.event_id for row in rows)
        return rows[0]["outcome"] if rows else None

    return await until(look, what="the check") or ""


async def test_a_subscription_that_nobody_heard_of_is_told_with_its_cause(billing: Billing) -> None:
    await billing.stripe.chaos(lose_all=True)
    made = await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=["pay"])
    await billing.stripe.calm()
    assert await billing.world.told(SubscriptionStarted) == []

    told = "billing.subscription_started.v1, billing.subscription_changed.v1"
    assert await outcome_of(billing, made.subscription) == f"corrected: {told}"

    started = await until(lambda: billing.world.told(SubscriptionStarted), what="the fact")
    assert [s.subscription_id for s in started] == [made.subscription]
    [envelope] = [e for e in await billing.world.envelopes("billing") if e.type == SubscriptionStarted.type]
    [check] = await billing.world.rows("billing", "select causation_id from subscription_checks")
    assert envelope.causation_id == check["causation_id"]
    assert await outcome_of(billing, made.subscription, date(2026, 12, 15)) == "the same"


async def test_a_subscription_that_is_the_same_tells_nothing(billing: Billing) -> None:
    made = await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=["pay"])
    await billing.at_rest()
    before = len(await billing.world.envelopes("billing"))

    assert await outcome_of(billing, made.subscription) == "the same"

    assert len(await billing.world.envelopes("billing")) == before


async def test_one_that_stripe_does_not_know_is_said_to_be_so(billing: Billing) -> None:
    assert await outcome_of(billing, "sub_of_another_account") == "unknown at Stripe"


async def test_a_stripe_that_fails_only_delays_a_check(billing: Billing) -> None:
    made = await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=["pay"])
    await billing.at_rest()
    await billing.stripe.fail_requests(status=500, count=2, path="/v1/subscriptions")
    await billing.stripe.fail_requests(status=0, count=1, path="/v1/subscriptions")

    assert await outcome_of(billing, made.subscription) == "the same"
