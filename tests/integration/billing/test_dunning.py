"""From Stripe's failed payment to the facts it deserves, each once."""

from __future__ import annotations

from collections import Counter
from uuid import uuid4

import httpx

from libs.common.events.billing import (
    InvoiceClosed,
    InvoicePaid,
    InvoiceUnpaid,
    PaymentActionRequired,
    PaymentRecovered,
)
from libs.devstack.stripe_simulator.control import RenewalMade
from tests.builders.stripe_events import body_of, event, invoice, signed
from tests.integration.billing.conftest import KEY, SECRET, Billing
from tests.world import until

DECLINING = ["decline", "decline_insufficient_funds", "decline_expired_card"]


async def tries_by_method(billing: Billing, invoice: str) -> Counter[str]:
    return Counter(p.payment_method for p in await billing.stripe.payments(invoice))


async def test_three_declining_cards_make_one_unpaid_fact(billing: Billing) -> None:
    company = uuid4()
    made = await billing.stripe.renewal_fails(
        name="Boulangerie Le Goff", email="legoff@example.fr", cards=DECLINING,
        metadata={"company_id": str(company)},
    )  # fmt: skip
    await billing.at_rest()

    [unpaid] = await billing.world.told(InvoiceUnpaid)
    assert (unpaid.company_id, unpaid.invoice_id, unpaid.unpaid_count) == (company, made.invoice, 1)
    assert unpaid.customer_email == "legoff@example.fr"
    assert unpaid.total_due_cents == 2990
    assert [a.outcome for a in unpaid.attempts] == ["just_failed", "declined", "declined"]
    assert await tries_by_method(billing, made.invoice) == Counter(dict.fromkeys(made.payment_methods, 1))


async def test_a_later_card_that_pays_is_told_as_recovered_once(billing: Billing) -> None:
    made = await billing.stripe.renewal_fails(
        name="Garage Morel", email="morel@example.fr", cards=["decline", "pay", "decline"]
    )
    await billing.at_rest()

    [recovered] = await billing.world.told(PaymentRecovered)
    [paid] = await billing.world.told(InvoicePaid)
    [closed] = await billing.world.told(InvoiceClosed)
    assert recovered.paid_with.payment_method_id == made.payment_methods[1]
    first, _, third = made.payment_methods
    assert [f.payment_method_id for f in recovered.failed] == [first, third]
    assert paid.is_recovered
    assert closed.reason == "paid"
    assert await billing.world.told(InvoiceUnpaid) == []
    assert len(await billing.stripe.charges(made.invoice)) == 1


async def test_every_webhook_five_times_shuffled_and_late_acts_once(billing: Billing) -> None:
    await billing.stripe.chaos(copies=5, shuffle=True, max_delay_seconds=0.5)
    made = await billing.stripe.renewal_fails(name="Fleurs", email="f@example.fr", cards=DECLINING)
    await billing.at_rest()

    assert len(await billing.world.told(InvoiceUnpaid)) == 1
    assert await tries_by_method(billing, made.invoice) == Counter(dict.fromkeys(made.payment_methods, 1))


async def test_a_second_automatic_attempt_is_a_cycle_of_its_own(billing: Billing) -> None:
    made = await billing.stripe.renewal_fails(name="Fleurs", email="f@example.fr", cards=DECLINING)
    await billing.at_rest()
    await billing.stripe.attempt(made.invoice)
    await billing.at_rest()

    told = await billing.world.told(InvoiceUnpaid)
    assert [(u.invoice_id, u.attempt_count) for u in told] == [(made.invoice, 1), (made.invoice, 2)]
    assert await tries_by_method(billing, made.invoice) == Counter(dict.fromkeys(made.payment_methods, 2))


async def test_paid_after_all_was_tried_closes_the_case(billing: Billing) -> None:
    made = await billing.stripe.renewal_fails(name="Fleurs", email="f@example.fr", cards=["decline"])
    await billing.at_rest()
    await billing.stripe.behave(made.payment_methods[0], "pay")
    await billing.stripe.attempt(made.invoice)
    await billing.at_rest()

    [paid] = await billing.world.told(InvoicePaid)
    assert not paid.is_recovered
    assert [c.reason for c in await billing.world.told(InvoiceClosed)] == ["paid"]
    [case] = await billing.world.rows("billing", "select state, closed_why from dunning_cases")
    assert case == {"state": "closed", "closed_why": "paid"}


async def test_the_metadata_flags_are_written_and_restart_nothing(billing: Billing) -> None:
    made = await billing.stripe.renewal_fails(name="Fleurs", email="f@example.fr", cards=DECLINING)
    await billing.at_rest()

    import stripe

    client = stripe.StripeClient(
        billing.settings.stripe_sk.get_secret_value(),
        base_addresses={"api": billing.settings.stripe_api_base},
        http_client=stripe.HTTPXClient(),
    )
    invoice = await client.v1.invoices.retrieve_async(made.invoice)
    assert invoice.metadata is not None
    assert invoice.metadata.to_dict() == {
        "manualAttempt": "true", "attemptFinished": "true", "processingFinished": "true"
    }  # fmt: skip
    [cycle] = await billing.world.rows("billing", "select attempt_count from dunning_cycles")
    assert cycle["attempt_count"] == 1
    assert len(await billing.world.told(InvoiceUnpaid)) == 1


async def test_an_answer_lost_after_the_charge_charges_once(billing: Billing) -> None:
    made = await billing.stripe.renewal_fails(name="A", email="a@example.fr", cards=["decline"])
    await billing.at_rest()
    await billing.stripe.payment_chaos(lose_answers=1)
    made = await billing.stripe.renewal_fails(
        name="Garage Morel", email="morel@example.fr", cards=["decline", "pay"]
    )
    await billing.at_rest()

    assert len(await billing.stripe.charges(made.invoice)) == 1
    assert await tries_by_method(billing, made.invoice) == Counter(dict.fromkeys(made.payment_methods, 1))
    assert [r.invoice_id for r in await billing.world.told(PaymentRecovered)] == [made.invoice]


async def test_two_instances_work_the_same_cases_once(billing: Billing) -> None:
    async with billing.world.running(billing.new_app()):
        invoices = [
            (await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=DECLINING)).invoice
            for _ in range(5)
        ]
        await billing.at_rest()
    told = Counter(u.invoice_id for u in await billing.world.told(InvoiceUnpaid))
    assert told == Counter(dict.fromkeys(invoices, 1))
    for invoice_id in invoices:
        assert set((await tries_by_method(billing, invoice_id)).values()) == {1}


async def test_three_d_secure_asks_the_customer_instead_of_the_unpaid_notice(billing: Billing) -> None:
    made = await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=["decline", "3ds"])
    await billing.at_rest()
    assert [r.invoice_id for r in await billing.world.told(PaymentActionRequired)] == [made.invoice]
    assert await billing.world.told(InvoiceUnpaid) == []


async def test_a_default_card_that_needs_three_d_secure_asks_the_customer_too(billing: Billing) -> None:
    made = await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=["3ds", "decline"])
    await billing.at_rest()
    assert [r.invoice_id for r in await billing.world.told(PaymentActionRequired)] == [made.invoice]
    assert await billing.world.told(InvoiceUnpaid) == []


async def test_a_card_that_stripes_own_attempt_proved_lost_is_not_tried_later(billing: Billing) -> None:
    cards = ["decline_lost_card", "decline_stolen_card"]  # after the second one Stripe itself charges no more
    made = await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=cards)
    await billing.at_rest()
    await billing.stripe.attempt(made.invoice)
    await billing.at_rest()
    assert [u.attempt_count for u in await billing.world.told(InvoiceUnpaid)] == [1, 2]
    assert set((await tries_by_method(billing, made.invoice)).values()) == {1}


async def test_a_debit_in_processing_is_waited_for(billing: Billing) -> None:
    made = await waiting(billing, "decline", "decline", "processing")
    await billing.stripe.settle(made.invoice, succeeds=False, decline_code="insufficient_funds")
    await billing.at_rest()
    [unpaid] = await billing.world.told(InvoiceUnpaid)
    assert unpaid.invoice_id == made.invoice
    debit = {a.payment_method_id: (a.outcome, a.decline_code) for a in unpaid.attempts}
    assert debit[made.payment_methods[2]] == ("declined", "insufficient_funds")
    assert set((await tries_by_method(billing, made.invoice)).values()) == {1}


async def waiting(billing: Billing, *cards: str) -> RenewalMade:
    """A renewal of which a debit is under way."""
    made = await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=cards)

    async def is_waiting() -> bool:
        rows = await billing.world.rows("billing", "select state from dunning_cases")
        return [r["state"] for r in rows] == ["waiting"]

    await until(is_waiting, what="the case waits")
    await billing.at_rest()
    return made


async def test_a_debit_that_pays_days_later_is_told_as_recovered(billing: Billing) -> None:
    made = await waiting(billing, "decline", "decline", "processing")
    await billing.stripe.settle(made.invoice, succeeds=True)
    await billing.at_rest()
    [recovered] = await billing.world.told(PaymentRecovered)
    assert recovered.paid_with.payment_method_id == made.payment_methods[2]
    assert [paid.is_recovered for paid in await billing.world.told(InvoicePaid)] == [True]
    assert await billing.world.told(InvoiceUnpaid) == []


async def test_an_old_failure_that_comes_late_does_not_end_a_debit_under_way(billing: Billing) -> None:
    made = await waiting(billing, "decline", "pay", "processing")
    thing = invoice(made.invoice, customer=made.customer, attempt_count=1)
    body = body_of(event("invoice.payment_failed", thing, id_="evt_late"))
    headers = {"Stripe-Signature": signed(body, SECRET)}
    assert (await billing.http.post("/webhooks/stripe", content=body, headers=headers)).status_code == 200

    async def is_worked() -> bool:
        sql = "select 1 from stripe_events where stripe_event_id = 'evt_late' and worked_at is not null"
        return bool(await billing.world.rows("billing", sql))

    async def is_waiting_again() -> bool:
        rows = await billing.world.rows("billing", "select state from dunning_cases")
        return [r["state"] for r in rows] == ["waiting"]

    await until(is_worked, what="the late event is worked")
    await until(is_waiting_again, what="the case waits again")
    assert made.payment_methods[1] not in await tries_by_method(billing, made.invoice)
    await billing.stripe.settle(made.invoice, succeeds=False)

    async def is_paid() -> list[PaymentRecovered]:
        return await billing.world.told(PaymentRecovered)

    [recovered] = await until(is_paid, what="the next method is tried")
    assert recovered.paid_with.payment_method_id == made.payment_methods[1]


async def test_a_decline_whose_answer_is_a_server_error_is_not_tried_again(billing: Billing) -> None:
    await billing.stripe.fail_requests(status=500, count=1, path="/pay", after_effect=True)
    cards = ["decline", "decline", "3ds"]
    made = await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=cards)
    await billing.at_rest()
    assert set((await tries_by_method(billing, made.invoice)).values()) == {1}
    assert len(await billing.world.told(PaymentActionRequired)) == 1


async def test_nobody_is_dunned_while_a_payment_of_somebody_else_is_under_way(idle_billing: Billing) -> None:
    """The customer pays by debit on Stripe's own page, between the failure and our try."""
    billing = idle_billing
    made = await billing.stripe.renewal_fails(
        name="Scierie", email="s@example.fr", cards=["decline", "processing", "decline_expired_card"]
    )
    async with httpx.AsyncClient(
        base_url=billing.settings.stripe_api_base, headers={"Authorization": f"Bearer {KEY}"}
    ) as customer:
        debit = {"payment_method": made.payment_methods[1]}
        answer = await customer.post(
            f"/v1/invoices/{made.invoice}/pay", data=debit, headers={"Stripe-Version": "2026-06-24.dahlia"}
        )
        assert answer.json()["status"] == "open", answer.text
    async with billing.world.running(billing.new_app()):
        await billing.at_rest()
        assert await billing.world.told(InvoiceUnpaid) == []
        await billing.stripe.settle(made.invoice, succeeds=False)
        await billing.at_rest()
        # Now every method has its turn, the debit too, which is waited for once more.
        assert await billing.world.told(InvoiceUnpaid) == []
        await billing.stripe.settle(made.invoice, succeeds=False)
        await billing.at_rest()
    assert len(await billing.world.told(InvoiceUnpaid)) == 1
    first, debit_method, last = made.payment_methods
    # The first one once by Stripe itself and once by us: what failed last was the customer's debit.
    assert await tries_by_method(billing, made.invoice) == {first: 2, debit_method: 2, last: 1}
