"""No link that holds a token is ever given to a shortener."""

from __future__ import annotations

import base64
import secrets
import uuid
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain import PayLinks, Purpose
from services.notifications.domain.links import WhyNot, links_in, why_not, with_short_links

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

MAY = (
    "https://app.districall.com/login",
    "https://www.districall.com/offre-30-pourcent-partout",
    "https://www.districall.com/pro-ou-perso?utm_source=sms&utm_campaign=relance-j7",
    "https://apps.apple.com/fr/app/districall/id1234567890",
    "https://play.google.com/store/apps/details?id=com.districall.app",
    "https://districall.com/aide/2026/11/24/payer-sa-facture#etape-2",
    "http://127.0.0.1:8000/login",
)

MAY_NOT = {
    "https://pay.example/pay/short": WhyNot.OPENS_SOMETHING,
    "https://pay.example/PAY/short": WhyNot.OPENS_SOMETHING,
    "https://pay.example/%70ay/short": WhyNot.OPENS_SOMETHING,
    "https://pay.example/%2570ay/short": WhyNot.OPENS_SOMETHING,
    "https://x.fr/prefix/pay/short": WhyNot.OPENS_SOMETHING,
    "https://x.fr/u/ab12": WhyNot.OPENS_SOMETHING,
    "https://x.fr/#/u/ab12": WhyNot.OPENS_SOMETHING,
    "https://x.fr/reset/ab12": WhyNot.OPENS_SOMETHING,
    "https://invoice.stripe.com/i/x": WhyNot.OPENS_SOMETHING,
    "https://INVOICE.STRIPE.COM./i/x": WhyNot.OPENS_SOMETHING,
    "https://billing.stripe.com/p/session/x": WhyNot.OPENS_SOMETHING,
    "https://user:password@x.fr/": WhyNot.HOLDS_A_LOGIN,
    "https://x.fr@evil.example/": WhyNot.HOLDS_A_LOGIN,
    "https://x.fr/?token=1": WhyNot.HOLDS_A_TOKEN,
    "https://x.fr/?a=1&to%6ben=1": WhyNot.HOLDS_A_TOKEN,
    "https://x.fr/?Access_Token": WhyNot.HOLDS_A_TOKEN,
    "https://x.fr/#access_token=1": WhyNot.HOLDS_A_TOKEN,
    "https://x.fr/#/page?sig=1": WhyNot.HOLDS_A_TOKEN,
    "https://x.fr/?code=123456": WhyNot.HOLDS_A_TOKEN,
    "https://eyJhbGciOiJIUzI1NiJ9.x.fr/": WhyNot.HOLDS_A_TOKEN,
    "https://x.fr/1234567890123": WhyNot.HOLDS_A_TOKEN,
    "javascript:alert(1)": WhyNot.NOT_A_LINK,
    "ftp://x.fr/a": WhyNot.NOT_A_LINK,
    "//x.fr/a": WhyNot.NOT_A_LINK,
    "https://": WhyNot.NOT_A_LINK,
    "https://[::1": WhyNot.NOT_A_LINK,
    "https://x.fr/a b": WhyNot.NOT_A_LINK,
    "https://x.fr/a\r\nb": WhyNot.NOT_A_LINK,
    "https://x.fr\\@evil.example/": WhyNot.NOT_A_LINK,
    "https://x.fr/" + "a/" * 1000: WhyNot.NOT_A_LINK,
    "": WhyNot.NOT_A_LINK,
}


@pytest.mark.parametrize("url", MAY)
def test_pages_for_everybody_may_be_shortened(url: str) -> None:
    assert why_not(url) is None


@pytest.mark.parametrize(("url", "reason"), MAY_NOT.items())
def test_what_opens_something_may_not(url: str, reason: WhyNot) -> None:
    assert why_not(url) is reason


def test_our_own_links_to_pay_may_not_wherever_they_lead() -> None:
    for public_url in ("https://pay.example", "https://districall.com/app", "http://127.0.0.1:8001"):
        links = PayLinks("a-secret-for-tests-only-0123456789", public_url=public_url, days=30)
        for n in range(200):
            for purpose, subject in ((Purpose.PAY, f"in_{n}"), (Purpose.CARD, uuid.uuid4())):
                url = links.url_of(purpose, subject, NOW)
                assert url is not None
                assert why_not(url) is not None
                # Nor by the token alone, were the way to it to be renamed.
                assert why_not(url.replace("/pay/", "/regler/")) is WhyNot.HOLDS_A_TOKEN


@pytest.mark.parametrize(
    "make",
    [
        lambda: secrets.token_urlsafe(16),
        lambda: secrets.token_urlsafe(32),
        lambda: secrets.token_hex(8),
        lambda: secrets.token_hex(32),
        lambda: str(uuid.uuid4()),
        lambda: base64.b64encode(secrets.token_bytes(24)).decode(),
        lambda: base64.b32encode(secrets.token_bytes(20)).decode(),
    ],
    ids=["urlsafe16", "urlsafe32", "hex8", "hex32", "uuid", "base64", "base32"],
)
def test_whatever_looks_like_a_token_may_not_wherever_it_stands(make: object) -> None:
    for _ in range(300):
        token = make()  # type: ignore[operator]
        for url in (
            f"https://x.fr/doc/{token}",
            f"https://x.fr/doc/{token}/voir",
            f"https://x.fr/doc?d={quote(token, safe='')}",
            f"https://x.fr/doc?{quote(token)}",
            f"https://x.fr/doc#{token}",
            f"https://x.fr/doc/{quote(quote(token, safe=''), safe='')}",
        ):
            assert why_not(url) is not None, url


@given(st.text(max_size=200))
def test_any_text_gets_an_answer(text: str) -> None:
    why_not(text)
    why_not("https://x.fr/" + text)


def test_a_message_gets_the_short_ones_of_whole_values_only() -> None:
    login, pay = "https://app.districall.com/login", "https://pay.example/pay/abc"
    context = {
        "login_url": login,
        "pay_url": pay,
        "customer_name": f"voir {login}",
        "open_invoices": [{"pay_url": pay, "hosted_invoice_url": "https://x.fr/i"}],
        "stage": 1,
    }
    assert links_in(context) == {login}
    short = {login: "https://tinyurl.com/a", pay: "https://tinyurl.com/b"}
    assert with_short_links(context, {login: short[login]}) == {**context, "login_url": short[login]}
    assert with_short_links(context, {login: login + "/longer"}) == context
