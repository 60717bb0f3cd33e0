"""Stripe's objects through the real library: customers, methods, subscriptions, invoices, and time."""

import httpx
import pytest
import stripe

from tests.integration.devstack.stripe_simulator.conftest import Sandbox

DAY_SECONDS = 86_400


async def priced(sandbox: Sandbox) -> str:
    price = await sandbox.api.prices.create_async(
        {
            "currency": "eur",
            "unit_amount": 1490,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Formule Solo"},
        }
    )
    return str(price.id)


async def customer_with(sandbox: Sandbox, token: str) -> str:
    customer = await sandbox.api.customers.create_async(
        {"email": "a@b.test", "payment_method": token, "metadata": {"company_id": "c-1"}}
    )
    methods = await sandbox.api.payment_methods.list_async({"customer": customer.id, "type": "card"})
    await sandbox.api.customers.update_async(
        customer.id, {"invoice_settings": {"default_payment_method": methods.data[0].id}}
    )
    return str(customer.id)


async def test_customers_live_and_die(sandbox: Sandbox) -> None:
    customers = sandbox.api.customers
    first = await customers.create_async({"email": "one@b.test", "name": "Un"})
    await customers.create_async({"email": "two@b.test"})
    assert [row.id for row in (await customers.list_async({"email": "one@b.test"})).data] == [first.id]
    await customers.delete_async(first.id)
    assert (await customers.retrieve_async(first.id)).deleted is True
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await customers.retrieve_async("cus_nobody")
    assert (raised.value.http_status, raised.value.code) == (404, "resource_missing")


async def test_lists_are_paged_by_the_library(sandbox: Sandbox) -> None:
    for number in range(5):
        await sandbox.api.customers.create_async({"name": str(number)})
    first_page = await sandbox.api.customers.list_async({"limit": 2})
    assert first_page.has_more
    names = [customer.name async for customer in first_page.auto_paging_iter()]
    assert names == ["4", "3", "2", "1", "0"]


async def test_payment_methods_are_attached_listed_and_detached(sandbox: Sandbox) -> None:
    methods, customers = sandbox.api.payment_methods, sandbox.api.customers
    customer = await customers.create_async({"name": "ACME"})
    card = await methods.create_async(
        {"type": "card", "card": {"number": "4000000000009995", "exp_month": 4, "exp_year": 2031}}
    )
    await methods.attach_async(card.id, {"customer": customer.id})
    account = await methods.create_async(
        {"type": "sepa_debit", "sepa_debit": {"iban": "FR1420041010050500013M02606"}}
    )
    await methods.attach_async(account.id, {"customer": customer.id})
    every = await customers.payment_methods.list_async(customer.id)
    assert [method.id for method in every.data] == [account.id, card.id]
    cards = await customers.payment_methods.list_async(customer.id, {"type": "card"})
    assert [(method.id, method.card.exp_year) for method in cards.data] == [(card.id, 2031)]
    await methods.detach_async(card.id)
    assert (await customers.payment_methods.list_async(customer.id, {"type": "card"})).data == []


async def test_a_subscription_that_is_paid_is_active(sandbox: Sandbox) -> None:
    subscription = await sandbox.api.subscriptions.create_async(
        {
            "customer": await customer_with(sandbox, "pm_card_visa"),
            "items": [{"price": await priced(sandbox), "quantity": 2}],
            "expand": ["latest_invoice"],
        }
    )
    assert (subscription.status, subscription.latest_invoice.status) == ("active", "paid")
    assert subscription.latest_invoice.amount_paid == 2980


async def test_a_subscription_whose_first_payment_fails_is_incomplete(sandbox: Sandbox) -> None:
    subscription = await sandbox.api.subscriptions.create_async(
        {
            "customer": await customer_with(sandbox, "pm_card_chargeDeclined"),
            "items": [{"price": await priced(sandbox)}],
        }
    )
    assert subscription.status == "incomplete"


async def test_a_trial_warns_ends_and_is_then_charged(sandbox: Sandbox) -> None:
    subscription = await sandbox.api.subscriptions.create_async(
        {
            "customer": await customer_with(sandbox, "pm_card_visa"),
            "items": [{"price": await priced(sandbox)}],
            "trial_period_days": 10,
        }
    )
    assert subscription.status == "trialing"
    await sandbox.control.advance_clock(8 * DAY_SECONDS)
    await sandbox.all_delivered()
    assert len(sandbox.receiver.events("customer.subscription.trial_will_end")) == 1
    await sandbox.control.advance_clock(3 * DAY_SECONDS)
    subscription = await sandbox.api.subscriptions.retrieve_async(subscription.id)
    invoice = await sandbox.api.invoices.retrieve_async(subscription.latest_invoice)
    assert (subscription.status, invoice.status, invoice.amount_paid) == ("active", "paid", 1490)


async def test_time_brings_the_attempts_of_the_schedule(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "pay")
    await sandbox.control.advance_clock(20 * DAY_SECONDS)
    attempts = await sandbox.control.payments(made.invoice)
    assert [(one.attempt_count, one.payment_method) for one in attempts] == [
        (number, made.payment_methods[0]) for number in (1, 2, 3, 4)
    ]
    await sandbox.control.advance_clock(15 * DAY_SECONDS)
    open_ones = await sandbox.api.invoices.list_async({"customer": made.customer, "status": "open"})
    assert len(open_ones.data) == 2


async def test_a_trial_without_a_card_is_paused_when_told_so_and_resumed(sandbox: Sandbox) -> None:
    customer = await sandbox.api.customers.create_async({"email": "a@b.test"})
    subscription = await sandbox.api.subscriptions.create_async(
        {
            "customer": customer.id,
            "items": [{"price": await priced(sandbox)}],
            "trial_period_days": 1,
            "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}},
        }
    )
    await sandbox.control.advance_clock(2 * DAY_SECONDS)
    assert (await sandbox.api.subscriptions.retrieve_async(subscription.id)).status == "paused"
    await sandbox.api.payment_methods.attach_async("pm_card_visa", {"customer": customer.id})
    assert (await sandbox.api.subscriptions.resume_async(subscription.id)).status == "active"
    await sandbox.all_delivered()
    assert len(sandbox.receiver.events("customer.subscription.paused")) == 1
    assert len(sandbox.receiver.events("customer.subscription.resumed")) == 1


async def test_two_unpaid_invoices_of_one_customer(sandbox: Sandbox) -> None:
    first = await sandbox.renewal_fails("decline", "decline")
    second = await sandbox.control.renewal_fails_again(first.customer)
    assert second.payment_methods == first.payment_methods
    unpaid = await sandbox.api.invoices.list_async({"customer": first.customer, "status": "open"})
    assert [invoice.id for invoice in unpaid.data] == [second.invoice, first.invoice]


async def test_a_deleted_customer_is_charged_no_more(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline")
    await sandbox.api.customers.delete_async(made.customer)
    await sandbox.control.advance_clock(40 * DAY_SECONDS)
    assert len(await sandbox.control.payments(made.invoice)) == 1
    assert (await sandbox.api.subscriptions.retrieve_async(made.subscription)).status == "canceled"


async def test_a_card_whose_behaviour_changes_pays_the_next_attempt(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline")
    await sandbox.control.behave(made.payment_methods[0], "pay")
    assert (await sandbox.control.attempt(made.invoice)).status == "paid"


async def test_a_hard_decline_is_counted_on_without_a_charge(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline_stolen_card")
    assert (await sandbox.control.attempt(made.invoice)).attempt_count == 2
    assert len(await sandbox.control.payments(made.invoice)) == 1


async def test_metadata_is_merged_and_an_empty_value_removes(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline")
    update = sandbox.api.invoices.update_async
    await update(made.invoice, {"metadata": {"manualAttempt": "true", "note": "x"}})
    invoice = await update(made.invoice, {"metadata": {"note": ""}})
    assert dict(invoice.metadata.to_dict()) == {"manualAttempt": "true"}


@pytest.mark.parametrize(
    ("ending", "status", "event_type"),
    [
        ("void_invoice_async", "void", "invoice.voided"),
        ("mark_uncollectible_async", "uncollectible", "invoice.marked_uncollectible"),
    ],
)
async def test_an_invoice_may_be_closed_unpaid(
    sandbox: Sandbox, ending: str, status: str, event_type: str
) -> None:
    made = await sandbox.renewal_fails("decline")
    closed = await getattr(sandbox.api.invoices, ending)(made.invoice)
    assert closed.status == status
    await sandbox.all_delivered()
    assert len(sandbox.receiver.events(event_type)) == 1


async def test_an_invoice_of_ones_own(sandbox: Sandbox) -> None:
    customer = await customer_with(sandbox, "pm_card_visa")
    await sandbox.api.invoice_items.create_async(
        {"customer": customer, "amount": 500, "currency": "eur", "description": "Frais"}
    )
    draft = await sandbox.api.invoices.create_async({"customer": customer, "auto_advance": False})
    assert (draft.status, draft.amount_due) == ("draft", 500)
    opened = await sandbox.api.invoices.finalize_invoice_async(draft.id)
    assert opened.status == "open"
    paid = await sandbox.api.invoices.pay_async(draft.id)
    assert paid.status == "paid"
    created = {"created": {"gte": draft.created}, "status": "paid"}
    assert [row.id for row in (await sandbox.api.invoices.list_async(created)).data] == [draft.id]


async def test_refunds_disputes_and_setups(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline", "pay")
    await sandbox.api.invoices.pay_async(made.invoice, {"payment_method": made.payment_methods[1]})
    (charge,) = await sandbox.control.charges(made.invoice)
    assert (await sandbox.api.refunds.create_async({"charge": charge["id"]})).status == "succeeded"
    assert (await sandbox.api.charges.retrieve_async(charge["id"])).refunded
    assert (await sandbox.control.dispute(charge["id"])).startswith("du_")
    setup = {"customer": made.customer, "payment_method": "pm_card_visa", "confirm": True}
    assert (await sandbox.api.setup_intents.create_async(setup)).status == "succeeded"
    await sandbox.all_delivered()
    for event_type in ("charge.refunded", "charge.dispute.created", "setup_intent.succeeded"):
        assert len(sandbox.receiver.events(event_type)) == 1


async def test_a_portal_session_has_a_page_in_which_the_card_is_changed(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline")
    portal = await sandbox.api.billing_portal.sessions.create_async(
        {"customer": made.customer, "return_url": "https://app.example/merci"}
    )
    assert (portal.id[:4], portal.object, portal.livemode) == ("bps_", "billing_portal.session", False)
    assert (portal.customer, portal.return_url) == (made.customer, "https://app.example/merci")
    assert portal.created > 0
    assert portal.url.startswith(sandbox.process.url)
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        assert "https://app.example/merci" in (await browser.get(portal.url)).text
        assert "par défaut" in (await browser.post(f"{portal.url}/carte")).text
    customer = await sandbox.api.customers.retrieve_async(made.customer)
    assert customer.invoice_settings is not None
    assert customer.invoice_settings.default_payment_method not in (None, *made.payment_methods)
    with pytest.raises(stripe.InvalidRequestError):
        await sandbox.api.billing_portal.sessions.create_async({"customer": "cus_nobody"})


async def test_the_pages_show_everything_and_their_buttons_work(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline")
    await sandbox.all_delivered()
    async with httpx.AsyncClient(base_url=sandbox.process.url, follow_redirects=True) as browser:
        overview = (await browser.get("/")).text
        for shown in ("compta@acme.test", made.invoice, "invoice.payment_failed", "delivered"):
            assert shown in overview
        (event,) = sandbox.receiver.events("invoice.payment_failed")
        for button in (
            f"/actions/carte/{made.payment_methods[0]}/refuser",
            f"/actions/facture/{made.invoice}/tenter",
            f"/actions/evenement/{event['id']}/renvoyer",
            "/actions/horloge/1",
        ):
            assert (await browser.post(button)).status_code == 200
        assert "ACME" in (await browser.get(f"/client/{made.customer}")).text
        paid = await browser.post(f"/facture/{made.invoice}/payer")
        assert "Payer avec une carte valide" not in paid.text
    assert len(await sandbox.control.charges(made.invoice)) == 1
