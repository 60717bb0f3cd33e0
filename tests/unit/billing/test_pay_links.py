"""The links that mails carry: whoever has not the secret makes none, and learns nothing."""

from __future__ import annotations

import timeit
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.billing.domain import PayLink, PayLinks, Purpose

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
COMPANY = UUID("0d9e6ac0-7f1b-4c52-9b0e-3f5d8a1c2e44")
LINKS = PayLinks("a-secret-for-tests-only-0123456789", public_url="https://pay.example", days=30)
OTHERS = PayLinks("another-secret-of-other-people-01", public_url="https://pay.example", days=30)
GOOD = LINKS.sign(PayLink(Purpose.PAY, "in_1QXc3tB7WZ01zgkWjSTFu3Aa", NOW + timedelta(days=30)))


@pytest.mark.parametrize(
    ("purpose", "subject"), [(Purpose.PAY, "in_1QXc3tB7WZ01zgkWjSTFu3Aa"), (Purpose.CARD, COMPANY)]
)
def test_a_link_says_what_it_is_for_and_until_when(purpose: Purpose, subject: object) -> None:
    url = LINKS.url_of(purpose, subject, NOW)
    assert url is not None
    token = url.removeprefix("https://pay.example/pay/")
    assert LINKS.read(token) == PayLink(purpose, str(subject), NOW + timedelta(days=30))
    assert len(url) < 150
    assert quote(token, safe="") == token, "no mail program needs to escape it"


def test_without_an_address_of_ours_there_are_no_links() -> None:
    assert PayLinks("a-secret", public_url=None, days=30).url_of(Purpose.PAY, "in_1", NOW) is None


def test_somebody_elses_signature_is_none_of_ours() -> None:
    assert OTHERS.read(GOOD) is None
    assert LINKS.read(OTHERS.sign(PayLink(Purpose.PAY, "in_1", NOW))) is None


@given(st.text(max_size=300))
def test_no_guess_is_a_link(token: str) -> None:
    assert LINKS.read(token) is None


@given(st.integers(min_value=0, max_value=len(GOOD) - 1), st.characters())
def test_no_changed_letter_leaves_a_link(place: int, letter: str) -> None:
    assume(GOOD[place] != letter)
    assert LINKS.read(GOOD[:place] + letter + GOOD[place + 1 :]) is None


@given(st.integers(min_value=0, max_value=len(GOOD) - 1), st.text(min_size=1, max_size=500))
def test_no_shorter_or_longer_token_is_a_link(length: int, more: str) -> None:
    assert LINKS.read(GOOD[:length]) is None
    assert LINKS.read(GOOD + more) is None
    assert LINKS.read(more + GOOD) is None


@given(st.integers(min_value=1, max_value=10**12))
def test_nobody_lengthens_the_life_of_a_link(seconds: int) -> None:
    purpose, subject, until, signature = GOOD.split(".")
    assert LINKS.read(f"{purpose}.{subject}.{int(until) + seconds}.{signature}") is None


def test_nonsense_takes_as_long_as_what_is_nearly_right() -> None:
    nearly, nonsense = GOOD[:-1] + ("A" if GOOD[-1] != "A" else "B"), "x" * len(GOOD)

    def fastest(token: str) -> float:
        return min(timeit.repeat(lambda: LINKS.read(token), number=200, repeat=9))

    seconds = [fastest(nearly), fastest(nonsense)]
    assert max(seconds) < 2 * min(seconds)
