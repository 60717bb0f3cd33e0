"""Troubles on demand, each as Stripe has them: lost for good, slow, silent, and what the headers say."""

import asyncio

import pytest
import stripe

from tests.integration.devstack.stripe_simulator.conftest import Sandbox, until

FAILED = "invoice.payment_failed"


async def test_on_demand_webhooks_are_lost_with_all_their_retries_and_the_list_still_has_them(
    sandbox: Sandbox,
) -> None:
    await sandbox.control.chaos(lose_all=True)
    await sandbox.renewal_fails("decline")
    await sandbox.all_delivered()
    assert sandbox.receiver.arrived == []
    assert {d.status for d in await sandbox.control.deliveries()} == {"failed"}
    listed = await sandbox.api.events.list_async({"type": FAILED, "delivery_success": False})
    assert len(listed.data) == 1
    await sandbox.control.resend(listed.data[0].id)
    await until(lambda: len(sandbox.receiver.arrived) == 1)


async def test_an_answer_that_never_comes_is_given_for_the_same_key(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "pay")
    await sandbox.control.fail_requests(status=0, path="/pay", after_effect=True)
    params = {"payment_method": made.payment_methods[1], "off_session": True}
    options = {"idempotency_key": "relance:silent"}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await sandbox.api.invoices.pay_async(made.invoice, params, options)
    assert (await sandbox.api.invoices.pay_async(made.invoice, params, options)).status == "paid"
    assert len(await sandbox.control.charges(made.invoice)) == 1


async def test_the_headers_say_whether_and_when_to_come_again(sandbox: Sandbox) -> None:
    await sandbox.control.fail_requests(status=429, path="/v1/customers", retry_after_seconds=7)
    with pytest.raises(stripe.RateLimitError) as limited:
        await sandbox.api.customers.list_async()
    assert (limited.value.headers or {})["retry-after"] == "7"
    await sandbox.control.fail_requests(status=500, path="/v1/customers")
    with pytest.raises(stripe.APIError) as failed:
        await sandbox.api.customers.list_async()
    assert (failed.value.headers or {})["stripe-should-retry"] == "false"


async def test_a_slow_api_answers_later_and_requests_are_counted(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline")
    await sandbox.control.latency(0.3)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(sandbox.api.invoices.retrieve_async(made.invoice) for _ in range(3)))
    assert loop.time() - began >= 0.3
    assert (await sandbox.control.state()).requests == {"GET /v1/invoices/{id}": 3}
