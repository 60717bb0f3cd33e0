"""Links are shortened ahead of the messages: an outage of TinyURL, or its slowness, delays none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.devstack.ports import free_port
from libs.devstack.stand_ins.control import Control
from libs.devstack.stand_ins.serving import running
from libs.devstack.tinyurl_shortener.app import Books
from tests.integration.notifications.office import Office
from tests.unit.notifications.facts import Customer
from tests.world import until

KEY = "an-internal-key-of-this-test"
HEADERS = {"X-Api-Key": KEY}
LOGIN = "https://app.relance.example/login?utm_source=mail"


@pytest.fixture
async def tinyurl(tmp_path: Path) -> AsyncIterator[Control[Books]]:
    async with (
        running("tinyurl_shortener", tmp_path / "tinyurl", port=free_port()) as (_, url),
        Control(url, Books) as control,
    ):
        yield control


def shortening(tinyurl: Control[Books], **changes: object) -> dict[str, Any]:
    return {
        "interne_apikey": KEY,
        "login_url": LOGIN,
        "tinyurl_token": "a-token-of-this-test",
        "tinyurl_api_base": tinyurl.base_url,
        "tinyurl_timeout_seconds": 1,
        "short_links_mail": "signup_first_step",
        **changes,
    }


async def body_of(office: Office, customer: Customer) -> str:
    async def look() -> Any:
        return await office.mails.mails(recipient=customer.email)

    [mail] = await until(look, what="the mail")
    text = (await office.mails.mail(mail.id)).text
    assert text is not None
    return text


async def short_of(office: Office, url: str = LOGIN) -> str:
    async def look() -> list[dict[str, Any]]:
        return await office.world.rows(
            "notifications", "select short_url from short_links where url = $1 and short_url is not null", url
        )

    return str((await until(look, what="the short link"))[0]["short_url"])


async def test_the_houses_links_are_short_before_anybody_is_written_to_and_made_once(
    office: Office, tinyurl: Control[Books]
) -> None:
    customers = [Customer(f"c{n}@exemple.fr") for n in range(3)]
    async with office.open(**shortening(tinyurl)), office.open(**shortening(tinyurl)):
        short = await short_of(office)
        for customer in customers:
            await office.world.tell(customer.signup_step())
        texts = [await body_of(office, customer) for customer in customers]
    async with office.open(**shortening(tinyurl)):  # nor made again by the next process
        await office.world.tell(Customer("c9@exemple.fr").signup_step())
        texts.append(await body_of(office, Customer("c9@exemple.fr")))
    assert all(short in text and LOGIN not in text for text in texts)
    books = await tinyurl.books()
    assert (books.requests, [link.url for link in books.links]) == (1, [LOGIN])
    async with httpx.AsyncClient(trust_env=False) as browser:
        assert (await browser.get(short)).headers["location"] == LOGIN


async def test_mails_carry_long_links_unless_their_kind_is_named(
    office: Office, tinyurl: Control[Books]
) -> None:
    async with office.open(**shortening(tinyurl, short_links_mail="")):
        await short_of(office)
        customer = Customer()
        await office.world.tell(customer.signup_step())
        assert LOGIN in await body_of(office, customer)


@pytest.mark.parametrize(
    ("manner", "details"),
    [
        ("down", {}),
        ("slow", {"delay_seconds": 300}),
        ("limited", {"retry_after_seconds": 60}),
        ("nonsense", {}),
    ],
)
async def test_whatever_tinyurl_does_no_message_waits_for_it(
    office: Office, tinyurl: Control[Books], manner: Any, details: dict[str, Any]
) -> None:
    await tinyurl.be(manner, times=0, **details)
    async with office.open(**shortening(tinyurl, tinyurl_timeout_seconds=300)):

        async def is_asked() -> bool:
            return (await tinyurl.books()).requests > 0

        await until(is_asked, what="TinyURL being asked")
        customers = [Customer(f"c{n}@exemple.fr") for n in range(5)]
        for customer in customers:
            await office.world.tell(customer.signup_step())
        await office.until_all(5, "accepted")
        for customer in customers:
            assert LOGIN in await body_of(office, customer)
    rows = await office.deliveries()
    assert {row["attempts"] for row in rows} == {1}
    assert (await tinyurl.books()).links == (), "TinyURL has not answered yet, or not well"


async def test_when_it_is_back_the_links_are_shortened(office: Office, tinyurl: Control[Books]) -> None:
    await tinyurl.be("down", times=2)
    async with office.open(**shortening(tinyurl)):
        short = await short_of(office)
        customer = Customer()
        await office.world.tell(customer.signup_step())
        assert short in await body_of(office, customer)
    [row] = await office.world.rows("notifications", "select attempts, answer from short_links")
    assert (row["attempts"], row["answer"]) == (3, None)


async def test_while_it_fails_again_and_again_it_is_left_alone(
    office: Office, tinyurl: Control[Books]
) -> None:
    await tinyurl.be("down", times=0)
    async with office.open(**shortening(tinyurl)) as client:

        async def is_resting() -> bool:
            answer = await _ask(client, "https://www.relance.example/aide")
            return "pour l'instant" in (answer.json()["why"] or "")

        await until(is_resting, what="the breaker opening")
        asked = (await tinyurl.books()).requests
        for n in range(20):
            answer = (await _ask(client, f"https://www.relance.example/aide-{n}")).json()
            assert answer["link"] == f"https://www.relance.example/aide-{n}"
            assert not answer["is_short"]
        assert (await tinyurl.books()).requests == asked <= 4


async def test_an_admin_copies_a_short_link_or_hears_why_not(office: Office, tinyurl: Control[Books]) -> None:
    page = "https://www.relance.example/offre-30-pourcent"
    async with office.open(**shortening(tinyurl)) as client:
        first, second = await _ask(client, page), await _ask(client, page)
        assert (
            first.json()
            == second.json()
            == {"link": await short_of(office, page), "is_short": True, "why": None}
        )
        for secret in (
            "https://pay.example/pay/abc",
            "https://invoice.stripe.com/i/x",
            "https://x.fr/?token=1",
        ):
            refused = await _ask(client, secret)
            assert refused.status_code == 422
            assert "raccourcie" in refused.json()["detail"]
        assert (await client.post("/internal/short-links", json={"url": page})).status_code == 401
        await tinyurl.be("refused", status=422)
        stays = (await _ask(client, "https://www.relance.example/autre")).json()
        assert (stays["link"], stays["is_short"]) == ("https://www.relance.example/autre", False)
    asked_for = {link.url for link in (await tinyurl.books()).links}
    assert asked_for <= {page, LOGIN}
    async with office.open(**shortening(tinyurl, tinyurl_token=None)) as client:
        assert (await _ask(client, page)).json()["is_short"], "what is known stays known"
        assert not (await _ask(client, page + "-2")).json()["is_short"]


async def test_what_opens_something_never_leaves_for_tinyurl(office: Office, tinyurl: Control[Books]) -> None:
    customer = Customer()
    hosted = "https://invoice.stripe.com/i/acct_1/test_YWNjdF8x"
    async with office.open(**shortening(tinyurl, short_links_mail="*")):
        await short_of(office)
        await office.world.tell(customer.paid("in_1", hosted_invoice_url=hosted))
        text = await body_of(office, customer)
    assert hosted in text
    assert {link.url for link in (await tinyurl.books()).links} == {LOGIN}
    rows = await office.world.rows("notifications", "select url from short_links")
    assert {row["url"] for row in rows} == {LOGIN}


async def test_an_address_that_it_never_shortens_is_asked_once(
    office: Office, tinyurl: Control[Books]
) -> None:
    await tinyurl.be("refused", times=0, status=422)
    async with office.open(**shortening(tinyurl)):

        async def is_refused() -> Any:
            return await office.world.rows(
                "notifications", "select 1 from short_links where refused_at is not null"
            )

        await until(is_refused, what="the refusal being noted")
        await office.world.tell(Customer().signup_step())
        assert LOGIN in await body_of(office, Customer())
    assert (await tinyurl.books()).requests == 1


async def _ask(client: httpx.AsyncClient, url: str) -> httpx.Response:
    return await client.post("/internal/short-links", json={"url": url}, headers=HEADERS)
