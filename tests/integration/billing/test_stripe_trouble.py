"""Stripe as it is: it asks to wait, fails, is silent, is slow; each try is made once all the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome
from libs.common.events.billing import InvoiceUnpaid, PaymentRecovered
from libs.devstack.stripe_simulator.control import RenewalMade
from libs.integrations.stripe import Stripe
from libs.integrations.stripe.answers import ServerFailure
from libs.integrations.stripe.client import LONGEST_BURST_SECONDS
from tests.integration.billing.conftest import Billing
from tests.world import until

DECLINING = ["decline", "decline_insufficient_funds", "decline_expired_card"]
TROUBLES = {
    "throttled": {"status": 429, "count": 2},
    "throttled, with a wish": {"status": 429, "count": 2, "retry_after_seconds": 0.5},
    "5xx before the effect": {"status": 500, "count": 2, "path": "/pay"},
    "5xx after the effect": {"status": 503, "count": 1, "path": "/pay", "after_effect": True},
    "silent before the effect": {"status": 0, "count": 1, "path": "/pay"},
    "silent after the effect": {"status": 0, "count": 1, "path": "/pay", "after_effect": True},
    "silent when asked": {"status": 0, "count": 1, "path": "/payment_methods"},
    "5xx when flags are written": {"status": 500, "count": 1, "path": "/v1/invoices/in_"},
}


async def tries(billing: Billing, made: RenewalMade) -> Counter[str]:
    return Counter(p.payment_method for p in await billing.stripe.payments(made.invoice))


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_whatever_the_trouble_each_method_is_tried_once(billing: Billing, trouble: str) -> None:
    await billing.stripe.fail_requests(**TROUBLES[trouble])  # type: ignore[arg-type]
    paying = await billing.stripe.renewal_fails(name="A", email="a@example.fr", cards=["decline", "pay"])
    declining = await billing.stripe.renewal_fails(name="B", email="b@example.fr", cards=DECLINING)
    await billing.at_rest()

    assert [r.invoice_id for r in await billing.world.told(PaymentRecovered)] == [paying.invoice]
    assert [u.invoice_id for u in await billing.world.told(InvoiceUnpaid)] == [declining.invoice]
    for made in (paying, declining):
        assert await tries(billing, made) == Counter(dict.fromkeys(made.payment_methods, 1))
    assert len(await billing.stripe.charges(paying.invoice)) == 1


async def test_while_stripe_fails_cases_wait_and_webhooks_go_on_and_then_it_all_drains(
    billing: Billing,
) -> None:
    await billing.stripe.fail_requests(status=503, count=10_000)
    made = [
        await billing.stripe.renewal_fails(name="F", email=f"c{n}@example.fr", cards=DECLINING)
        for n in range(30)
    ]

    async def are_taken_in() -> bool:
        [row] = await billing.world.rows("billing", "select count(*) as n from dunning_cases")
        return bool(row["n"] == len(made))

    await until(are_taken_in, what="every case begun, Stripe or no Stripe")
    assert (await billing.http.get("/metrics")).text.count("relance_stripe_breaker_open 1.0") == 1
    asked = sum((await billing.stripe.state()).requests.values())
    [row] = await billing.world.rows("billing", "select count(*) as n from dunning_cases where failures > 0")
    # Those that were begun before it opened, and the single tries since.
    assert row["n"] < len(made)
    assert asked < 2 * len(made)

    await billing.stripe.calm()
    await billing.at_rest()
    told = Counter(u.invoice_id for u in await billing.world.told(InvoiceUnpaid))
    assert told == Counter(m.invoice for m in made)
    for each in made:
        assert set((await tries(billing, each)).values()) == {1}
    assert "relance_stripe_breaker_open 0.0" in (await billing.http.get("/metrics")).text


async def test_a_case_costs_few_requests(billing: Billing) -> None:
    made = await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=DECLINING)
    await billing.at_rest()
    assert await tries(billing, made) == Counter(dict.fromkeys(made.payment_methods, 1))
    requests = (await billing.stripe.state()).requests
    # Two events of one second disagreed when it began; that is no case's asking.
    assert requests.pop("GET /v1/subscriptions/{id}", 0) <= 1
    assert requests == {
        "GET /v1/invoices/{id}": 1,  # with customer, subscription and payments
        "GET /v1/customers/{id}/payment_methods": 1,
        "POST /v1/invoices/{id}": 2,  # the flags; the last one is the last look too
        "POST /v1/invoices/{id}/pay": 2,
    }


def stripe_of(billing: Billing, **overrides: float) -> Stripe:
    return Stripe(
        billing.settings.stripe_sk.get_secret_value(),
        api_base=billing.settings.stripe_api_base,
        timeout_seconds=overrides.get("timeout_seconds", 5),
        requests_per_second=overrides.get("requests_per_second", 500),
    )


@pytest.mark.parametrize("pace", [4, 40])
async def test_all_callers_together_keep_the_pace_and_bursts_are_short(
    idle_billing: Billing, pace: float
) -> None:
    """By the times at which requests were let go, whatever the machine is doing."""
    stripe = stripe_of(idle_billing, requests_per_second=pace)
    let_go: list[float] = []
    loop = asyncio.get_running_loop()

    async def call() -> None:
        async with stripe._limiter:
            let_go.append(loop.time())

    await asyncio.gather(*(call() for _ in range(int(pace) * 2)))
    await stripe.close()
    burst = max(1, pace * LONGEST_BURST_SECONDS)
    for number, moment in enumerate(let_go, start=1):
        assert number <= burst + 1 + pace * (moment - let_go[0])


async def test_what_stripe_says_becomes_our_words(idle_billing: Billing) -> None:
    stripe, control = stripe_of(idle_billing, timeout_seconds=0.3), idle_billing.stripe
    await control.fail_requests(status=429, retry_after_seconds=7)
    with pytest.raises(TemporaryFailure) as asked_to_wait:
        await stripe.get_invoice("in_1")
    assert asked_to_wait.value.retry_after_seconds == 7
    assert stripe.breaker.room(1) == 0, "nothing is begun before that"

    await control.fail_requests(status=502)
    with pytest.raises(ServerFailure) as failed:
        await stripe.get_invoice("in_1")
    assert failed.value.is_final

    await control.fail_requests(status=0)
    with pytest.raises(UnknownOutcome):
        await stripe.get_invoice("in_1")
    await control.latency(1)
    with pytest.raises(UnknownOutcome):
        await stripe.list_events(["invoice.paid"], since=_a_day_ago(), until=None, older_than=None)
    await control.calm()
    with pytest.raises(PermanentFailure):
        await stripe.get_invoice("in_nobody_knows")
    await stripe.close()


def _a_day_ago() -> datetime:
    return datetime.now(UTC) - timedelta(days=1)
