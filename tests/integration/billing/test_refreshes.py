"""What only Stripe can tell is asked of Stripe: copies of one second that disagree, whose a dispute is."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from libs.common.events.billing import DisputeClosed, DisputeOpened
from libs.common.events.stripe import StripeEventReceived
from tests.builders.stripe_events import body_of, event
from tests.integration.billing.conftest import Billing
from tests.world import until

LONG_AFTER = 4_000_000_000


async def kept(billing: Billing, subscription_id: str) -> dict[str, Any] | None:
    rows = await billing.world.rows(
        "billing", "select status, is_fetched from subscriptions where subscription_id = $1", subscription_id
    )
    return rows[0] if rows else None


async def test_two_events_of_one_second_that_disagree_are_settled_by_what_stripe_says(
    billing: Billing,
) -> None:
    made = await billing.stripe.renewal_fails(name="Fleurs", email="f@example.fr", cards=["pay"])
    await billing.at_rest()
    before = await kept(billing, made.subscription)
    assert before is not None
    thing = {"id": made.subscription, "customer": made.customer, "created": LONG_AFTER, "items": {"data": []}}
    for number, status in enumerate(["past_due", "unpaid"]):
        told = event("customer.subscription.updated", {**thing, "status": status}, id_=f"evt_same_{number}",
                     created=LONG_AFTER)  # fmt: skip
        await billing.world.tell(StripeEventReceived.from_bytes(body_of(told)))

    async def is_settled() -> bool:
        row = await kept(billing, made.subscription)
        waiting = await billing.world.rows("billing", "select 1 from refreshes")
        return row == {"status": before["status"], "is_fetched": True} and not waiting

    await until(is_settled, what="Stripe's word on the subscription")


async def test_a_dispute_is_told_of_the_company_whose_charge_it_is(billing: Billing) -> None:
    company = uuid4()
    made = await billing.stripe.renewal_fails(
        name="Fleurs", email="f@example.fr", cards=["pay"], metadata={"company_id": str(company)}
    )
    [charge] = await billing.stripe.charges(made.invoice)
    await billing.stripe.dispute(charge["id"], reason="fraudulent")
    [opened] = await until(lambda: billing.world.told(DisputeOpened), what="the dispute")
    assert (opened.company_id, opened.charge_id, opened.reason) == (company, charge["id"], "fraudulent")
    assert opened.amount_cents == 2990
    assert await billing.world.told(DisputeClosed) == []
    assert await billing.world.rows("billing", "select 1 from refreshes") == []
