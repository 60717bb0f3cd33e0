"""From the link in a mail to Stripe's pages, through billing's own door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from libs.common.events.billing import InvoiceUnpaid, PaymentActionRequired
from services.billing.app import create_app
from services.billing.domain import PayLink, PayLinks, Purpose
from services.billing.settings import BillingSettings
from tests.integration.billing.conftest import Billing
from tests.world import World

STRICT = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex, nofollow, noarchive",
}


async def unpaid(billing: Billing) -> InvoiceUnpaid:
    await billing.stripe.renewal_fails(name="Café", email="c@example.fr", cards=["decline"])
    await billing.at_rest()
    return (await billing.world.told(InvoiceUnpaid))[-1]


async def sessions_made(billing: Billing) -> int:
    state = await billing.stripe.state()
    return state.counts.get("billing_portal.session", 0)


def token_of(settings: BillingSettings, purpose: Purpose, subject: object, **ages: float) -> str:
    until = datetime.now(UTC) + timedelta(**(ages or {"days": 1}))
    return settings.pay_links.sign(PayLink(purpose, str(subject), until))


async def test_the_link_of_the_unpaid_fact_leads_to_the_hosted_invoice(billing: Billing) -> None:
    told = await unpaid(billing)
    assert told.pay_url is not None
    assert [i.pay_url for i in told.open_invoices] == [told.pay_url]
    for known in (told.company_id, told.customer_name, told.customer_email):
        assert str(known) not in told.pay_url

    answer = await billing.http.get(told.pay_url)
    assert answer.status_code == 303
    assert answer.headers["location"] == told.open_invoices[0].hosted_invoice_url
    assert answer.headers.items() >= STRICT.items()


async def test_a_confirmation_asked_for_by_the_bank_has_its_link_too(billing: Billing) -> None:
    await billing.stripe.renewal_fails(name="C", email="c@example.fr", cards=["decline", "3ds"])
    await billing.at_rest()
    [required] = await billing.world.told(PaymentActionRequired)
    assert required.pay_url is not None
    assert (await billing.http.get(required.pay_url)).headers["location"] == required.hosted_invoice_url


async def test_an_invoice_paid_meanwhile_is_said_to_be_settled(billing: Billing) -> None:
    told = await unpaid(billing)
    assert told.pay_url is not None
    async with httpx.AsyncClient(base_url=billing.settings.stripe_api_base) as customer:
        await customer.post(f"/facture/{told.invoice_id}/payer")
    # Whether or not the webhook was worked yet.
    for _ in range(2):
        answer = await billing.http.get(told.pay_url)
        assert answer.status_code == 200
        assert "Cette facture est déjà réglée, merci." in answer.text
        assert answer.headers.items() >= STRICT.items()
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        await billing.at_rest()


async def test_the_card_is_changed_in_a_session_made_at_that_moment(billing: Billing) -> None:
    told = await unpaid(billing)
    assert told.card_url is not None
    assert await sessions_made(billing) == 0
    answer = await billing.http.get(told.card_url)
    assert answer.status_code == 303
    assert await sessions_made(billing) == 1
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        portal = (await browser.get(answer.headers["location"])).text
        back = f"{billing.settings.billing_public_url}/pay/merci"
        assert back in portal
        assert "Vous pouvez fermer cette page" in (await browser.get(back)).text
    again = await billing.http.get(told.card_url)
    assert again.headers["location"] != answer.headers["location"]


async def test_whoever_only_looks_makes_no_session(billing: Billing) -> None:
    told = await unpaid(billing)
    assert told.card_url is not None
    looks: list[tuple[str, dict[str, str]]] = [
        ("HEAD", {}),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}),
        ("GET", {"X-Moz": "prefetch"}),
    ]
    for method, headers in looks:
        answer = await billing.http.request(method, told.card_url, headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")
    assert await sessions_made(billing) == 0


async def test_every_guess_gets_the_same_answer(billing: Billing) -> None:
    settings, told = billing.settings, await unpaid(billing)
    good = token_of(settings, Purpose.PAY, told.invoice_id)
    said, _, signature = good.rpartition(".")
    theirs = PayLinks("a-secret-of-somebody-else-entirely", public_url=None, days=1)
    now, long_ago = datetime.now(UTC), datetime.now(UTC) - timedelta(days=9)
    guesses = {
        "nothing": "",
        "a word": "bonjour",
        "an invoice's id": told.invoice_id,
        "somebody else's signature": theirs.sign(PayLink(Purpose.PAY, told.invoice_id, now)),
        "somebody else's, expired": theirs.sign(PayLink(Purpose.PAY, told.invoice_id, long_ago)),
        "a changed signature": f"{said}.{signature[::-1]}",
        "another purpose": "c" + good[1:],
        "another invoice": good.replace(told.invoice_id, "in_other"),
        "a folder": f"{good}/..%2f",
        "an unknown invoice": token_of(settings, Purpose.PAY, "in_unknown"),
        "an unknown company": token_of(settings, Purpose.CARD, uuid4()),
        "far too long": "x" * 5000,
    }
    answers = {name: await billing.http.get(f"/pay/{guess}") for name, guess in guesses.items()}
    assert {name: a.status_code for name, a in answers.items()} == dict.fromkeys(guesses, 404)
    assert len({a.content for a in answers.values()}) == 1
    assert len({tuple((k, v) for k, v in a.headers.items() if k != "date") for a in answers.values()}) == 1


async def test_an_expired_link_says_how_to_get_a_new_one_and_names_nobody(billing: Billing) -> None:
    settings, told = billing.settings, await unpaid(billing)
    expired = [
        await billing.http.get(f"/pay/{token_of(settings, purpose, subject, seconds=-1)}")
        for purpose, subject in (
            (Purpose.PAY, told.invoice_id),
            (Purpose.PAY, "in_unknown"),
            (Purpose.CARD, str(told.company_id)),
        )
    ]
    assert {a.status_code for a in expired} == {410}
    assert len({a.content for a in expired}) == 1
    page = expired[0].text
    assert "Pour en recevoir un nouveau" in page
    for name in (told.customer_name, told.invoice_id, str(told.customer_email)):
        assert name not in page


@pytest.fixture
def without_stripe(world: World) -> BillingSettings:
    return world.settings(
        BillingSettings,
        stripe_sk="sk_test_1",
        stripe_webhook_secrets="whsec_1",
        stripe_api_base="http://127.0.0.1:1",
        billing_public_url="http://pay.test",
        pay_opens_per_minute_and_link=3,
    )


async def with_an_open_invoice(world: World, *, url: str | None) -> None:
    company = uuid4()
    await world.rows(
        "billing", "insert into customers (stripe_customer_id, company_id) values ('cus_1', $1)", company
    )
    await world.rows(
        "billing",
        """insert into invoices (invoice_id, stripe_customer_id, status, currency, amount_due_cents,
               amount_remaining_cents, attempt_count, billing_cycle, issued_at, hosted_invoice_url, seen_at)
           values ('in_1', 'cus_1', 'open', 'eur', 1290, 1290, 1, 'c', now(), $1, now())""",
        url,
    )


async def test_without_stripe_the_reader_is_asked_to_come_again(
    world: World, without_stripe: BillingSettings
) -> None:
    await with_an_open_invoice(world, url=None)
    [row] = await world.rows("billing", "select company_id from customers")
    async with world.running(create_app(without_stripe)) as http:
        for purpose, subject in ((Purpose.PAY, "in_1"), (Purpose.CARD, row["company_id"])):
            answer = await http.get(f"/pay/{token_of(without_stripe, purpose, subject)}")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert "Rien n’a été débité" in answer.text


async def test_without_stripe_an_invoice_is_still_found_at_the_address_known_before(
    world: World, without_stripe: BillingSettings
) -> None:
    await with_an_open_invoice(world, url="https://invoice.stripe.test/i/1")
    async with world.running(create_app(without_stripe)) as http:
        answer = await http.get(f"/pay/{token_of(without_stripe, Purpose.PAY, 'in_1')}")
    assert (answer.status_code, answer.headers["location"]) == (303, "https://invoice.stripe.test/i/1")


async def test_a_link_opened_too_often_waits_and_holds_up_no_other(
    world: World, without_stripe: BillingSettings
) -> None:
    await with_an_open_invoice(world, url="https://invoice.stripe.test/i/1")
    often = token_of(without_stripe, Purpose.PAY, "in_1", days=2)
    async with world.running(create_app(without_stripe)) as http:
        statuses = [(await http.get(f"/pay/{often}")).status_code for _ in range(5)]
        other = await http.get(f"/pay/{token_of(without_stripe, Purpose.PAY, 'in_1', days=3)}")
        guesses = [(await http.get("/pay/guess")).status_code for _ in range(20)]
    assert statuses == [303, 303, 303, 429, 429]
    assert other.status_code == 303
    assert set(guesses) == {404}
