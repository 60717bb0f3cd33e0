"""Attempts to collect an invoice: what is answered, what is told, what is counted."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stripe

from libs.devstack.ports import free_port
from tests.integration.devstack.stripe_simulator.conftest import Sandbox, new_client, until

OWN_KEY = "relance:in_1:1:pm_1"


def types_caused_by(sandbox: Sandbox, key: str) -> list[str]:
    events = sandbox.receiver.events()
    return sorted(event["type"] for event in events if event["request"]["idempotency_key"] == key)


async def pay(sandbox: Sandbox, invoice: str, method: str, key: str | None = None) -> Any:
    options = {"idempotency_key": key} if key else {}
    params = {"payment_method": method, "off_session": True}
    return await sandbox.api.invoices.pay_async(invoice, params, options)


async def test_a_failed_renewal_leaves_an_open_invoice_after_one_automatic_attempt(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline_insufficient_funds", "pay")
    invoice = await sandbox.api.invoices.retrieve_async(made.invoice)
    assert (invoice.status, invoice.attempt_count, invoice.attempted) == ("open", 1, True)
    assert invoice.next_payment_attempt > invoice.created
    assert invoice.billing_reason == "subscription_cycle"
    assert invoice.amount_remaining == invoice.amount_due == 2990
    assert (invoice.customer_email, invoice.customer_name) == ("compta@acme.test", "ACME")
    assert invoice.hosted_invoice_url.startswith(sandbox.process.url)
    assert invoice.number
    assert invoice.lines.data[0].period.end == invoice.period_end
    assert invoice.parent.subscription_details.subscription == made.subscription
    subscription = await sandbox.api.subscriptions.retrieve_async(made.subscription)
    assert (subscription.status, subscription.latest_invoice) == ("past_due", made.invoice)

    await sandbox.all_delivered()
    (failed,) = sandbox.receiver.events("invoice.payment_failed")
    assert failed["request"] == {"id": None, "idempotency_key": None}
    assert failed["data"]["object"]["attempt_count"] == 1


async def test_a_declined_pay_answers_402_and_tells_it_with_the_key_of_the_call(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "decline_lost_card")
    with pytest.raises(stripe.CardError) as raised:
        await pay(sandbox, made.invoice, made.payment_methods[1], OWN_KEY)
    error = raised.value
    assert (error.http_status, error.code) == (402, "card_declined")
    assert error.error is not None
    assert error.error.decline_code == "lost_card"

    await sandbox.all_delivered()
    assert types_caused_by(sandbox, OWN_KEY) == [
        "charge.failed",
        "invoice.payment_failed",
        "invoice.updated",
        "payment_intent.payment_failed",
    ]
    assert (await sandbox.api.invoices.retrieve_async(made.invoice)).attempt_count == 1
    attempts = await sandbox.control.payments(made.invoice)
    assert [(one.is_automatic, one.idempotency_key) for one in attempts] == [(True, None), (False, OWN_KEY)]
    assert await sandbox.control.charges(made.invoice) == []


async def test_each_card_of_a_customer_has_a_fingerprint_of_its_own(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "decline", "4242424242424242", "pm_card_visa")
    methods = await sandbox.api.customers.payment_methods.list_async(made.customer, {"limit": 100})
    fingerprints = {method.id: method.card.fingerprint for method in methods.data}
    first, second, third, fourth = (fingerprints[key] for key in made.payment_methods)
    assert first != second
    assert third == fourth


async def test_a_card_that_pays_closes_the_invoice_and_the_subscription_is_active(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "pay")
    invoice = await pay(sandbox, made.invoice, made.payment_methods[1], OWN_KEY)
    assert (invoice.status, invoice.amount_remaining, invoice.amount_paid) == ("paid", 0, 2990)
    assert invoice.status_transitions.paid_at
    assert invoice.next_payment_attempt is None
    await sandbox.all_delivered()
    assert set(types_caused_by(sandbox, OWN_KEY)) >= {
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
        "customer.subscription.updated",
    }
    assert (await sandbox.api.subscriptions.retrieve_async(made.subscription)).status == "active"
    assert len(await sandbox.control.charges(made.invoice)) == 1


async def test_a_paid_invoice_is_not_paid_twice(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "pay")
    await pay(sandbox, made.invoice, made.payment_methods[1])
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await pay(sandbox, made.invoice, made.payment_methods[1])
    assert (raised.value.http_status, raised.value.code) == (400, "invoice_already_paid")


async def test_3d_secure_needs_the_customer(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "3ds")
    with pytest.raises(stripe.CardError) as raised:
        await pay(sandbox, made.invoice, made.payment_methods[1], OWN_KEY)
    assert raised.value.code == "authentication_required"
    await sandbox.all_delivered()
    assert "invoice.payment_action_required" in types_caused_by(sandbox, OWN_KEY)


@pytest.mark.parametrize(("succeeds", "status"), [(True, "paid"), (False, "open")])
async def test_a_sepa_debit_is_processing_until_it_ends(
    sandbox: Sandbox, succeeds: bool, status: str
) -> None:
    made = await sandbox.renewal_fails("decline", "processing")
    invoice = await pay(sandbox, made.invoice, made.payment_methods[1], OWN_KEY)
    assert invoice.status == "open"
    with pytest.raises(stripe.InvalidRequestError):
        await pay(sandbox, made.invoice, made.payment_methods[0])
    ended = await sandbox.control.settle(made.invoice, succeeds=succeeds, decline_code="insufficient_funds")
    assert (ended.status, ended.attempt_count) == (status, 1)


async def test_why_a_payment_failed_is_found_through_the_invoice_payments(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline_stolen_card")
    params = {"invoice": made.invoice, "expand": ["data.payment.payment_intent"]}
    (payment,) = (await sandbox.api.invoice_payments.list_async(params)).data
    intent = payment.payment.payment_intent
    assert (payment.status, intent.status) == ("open", "requires_payment_method")
    assert intent.last_payment_error.decline_code == "stolen_card"


async def test_only_automatic_attempts_are_counted_and_the_last_has_no_next(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "decline")
    with pytest.raises(stripe.CardError):
        await pay(sandbox, made.invoice, made.payment_methods[1])
    states = [await sandbox.control.attempt(made.invoice) for _ in range(3)]
    assert [state.attempt_count for state in states] == [2, 3, 4]
    assert [state.next_payment_attempt is None for state in states] == [False, False, True]


async def test_one_writer_an_invoice(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "decline", "decline")
    await sandbox.control.payment_chaos(before_seconds=(0.5, 0.5))
    results = await asyncio.gather(
        *(pay(sandbox, made.invoice, method) for method in made.payment_methods), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, stripe.RateLimitError)]
    assert [error.code or error.error.code for error in refused if error.error] == ["lock_timeout"] * 2
    assert len(await sandbox.control.payments(made.invoice)) == 2


async def test_the_same_key_gets_the_same_answer_and_charges_once(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "decline", "pay")
    for _ in range(3):
        with pytest.raises(stripe.CardError) as raised:
            await pay(sandbox, made.invoice, made.payment_methods[1], "key-1")
        assert raised.value.error is not None
    with pytest.raises(stripe.IdempotencyError):
        await pay(sandbox, made.invoice, made.payment_methods[2], "key-1")
    assert len(await sandbox.control.payments(made.invoice)) == 2


async def test_a_key_in_flight_is_refused(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "pay")
    await sandbox.control.payment_chaos(before_seconds=(0.5, 0.5))
    results = await asyncio.gather(
        *(pay(sandbox, made.invoice, made.payment_methods[1], OWN_KEY) for _ in range(3)),
        return_exceptions=True,
    )
    statuses = sorted(getattr(result, "http_status", None) or 200 for result in results)
    assert statuses == [200, 409, 409]
    assert len(await sandbox.control.charges(made.invoice)) == 1


async def test_a_lost_answer_is_given_again_for_the_same_key(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "pay")
    await sandbox.control.payment_chaos(lose_answers=1)
    with pytest.raises(stripe.APIConnectionError):
        await pay(sandbox, made.invoice, made.payment_methods[1], OWN_KEY)
    assert (await pay(sandbox, made.invoice, made.payment_methods[1], OWN_KEY)).status == "paid"
    assert len(await sandbox.control.charges(made.invoice)) == 1


async def test_a_card_can_lose_the_first_answer_to_each_payment_with_it(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "lost_decline_do_not_honor", "lost_pay")
    for method, key in zip(made.payment_methods[1:], ("relance:refused", "relance:paid"), strict=True):
        with pytest.raises(stripe.APIConnectionError):
            await pay(sandbox, made.invoice, method, key)
    with pytest.raises(stripe.CardError):
        await pay(sandbox, made.invoice, made.payment_methods[1], "relance:refused")
    assert (await pay(sandbox, made.invoice, made.payment_methods[2], "relance:paid")).status == "paid"
    assert len(await sandbox.control.payments(made.invoice)) == 3


async def test_a_server_error_is_remembered_for_its_key_and_a_rate_limit_is_not(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "pay")
    await sandbox.control.fail_requests(status=429, path="/pay")
    with pytest.raises(stripe.RateLimitError):
        await pay(sandbox, made.invoice, made.payment_methods[1], OWN_KEY)
    await sandbox.control.fail_requests(status=500, path="/pay", after_effect=True)
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            await pay(sandbox, made.invoice, made.payment_methods[1], OWN_KEY)
    assert len(await sandbox.control.charges(made.invoice)) == 1
    assert (await sandbox.api.invoices.retrieve_async(made.invoice)).status == "paid"


async def test_nothing_is_lost_by_a_kill(sandbox: Sandbox) -> None:
    sandbox.receiver.answer = lambda _: 503
    made = await sandbox.renewal_fails("decline", "decline", "pay")
    with pytest.raises(stripe.CardError):
        await pay(sandbox, made.invoice, made.payment_methods[1], "key-1")
    before = await sandbox.control.state()
    await sandbox.process.kill()
    sandbox.receiver.arrived.clear()
    sandbox.receiver.answer = lambda _: 200
    await sandbox.process.start()

    after = await sandbox.control.state()
    assert (after.counts, after.events, after.attempts) == (before.counts, before.events, before.attempts)
    with pytest.raises(stripe.CardError):
        await pay(sandbox, made.invoice, made.payment_methods[1], "key-1")
    assert len(await sandbox.control.payments(made.invoice)) == 2
    await sandbox.all_delivered()
    arrived = {event["id"] for event in sandbox.receiver.events()}
    assert len(arrived) == before.counts["event"]


async def test_a_wrong_key_is_refused(sandbox: Sandbox) -> None:
    stranger = stripe.StripeClient(
        "sk_test_wrong", base_addresses={"api": sandbox.process.url}, http_client=stripe.HTTPXClient()
    )
    with pytest.raises(stripe.AuthenticationError):
        await stranger.v1.customers.list_async()


async def test_the_shape_before_basil_is_given_to_those_who_ask(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline")
    old = new_client(sandbox.process.url, stripe_version="2024-06-20")
    invoice = await old.v1.invoices.retrieve_async(made.invoice)
    assert invoice["subscription"] == made.subscription
    assert invoice["paid"] is False
    intent = await old.v1.payment_intents.retrieve_async(invoice["payment_intent"])
    assert intent["invoice"] == made.invoice
    assert invoice["charge"] == intent.latest_charge


async def test_it_stops_cleanly(sandbox: Sandbox) -> None:
    await sandbox.renewal_fails("decline")
    assert await sandbox.process.stop() == 0


async def test_a_setting_makes_manual_attempts_count(sandbox: Sandbox) -> None:
    await sandbox.process.stop()
    await sandbox.process.start("--manual-attempts-count")
    made = await sandbox.renewal_fails("decline", "decline")
    with pytest.raises(stripe.CardError):
        await pay(sandbox, made.invoice, made.payment_methods[1])
    assert (await sandbox.api.invoices.retrieve_async(made.invoice)).attempt_count == 2
    await until(lambda: bool(sandbox.receiver.arrived))


def test_an_endpoint_without_a_secret_refuses_to_start(tmp_path: Path) -> None:
    arguments = ["--port", str(free_port()), "--data", str(tmp_path), "--webhook-url", "http://127.0.0.1:9/"]
    command = [sys.executable, "-m", "libs.devstack.stripe_simulator", *arguments]
    environment = {**os.environ, "STRIPE_SIMULATOR_WEBHOOK_SECRET": ""}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "--webhook-secret" in ended.stderr
