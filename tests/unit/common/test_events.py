"""Events: the id is made of what makes the fact the same fact; what does not parse says which field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from libs.common.errors import PermanentFailure
from libs.common.events import EVENTS, TELLERS, Event
from libs.common.events.billing import InvoicePaid
from libs.common.events.stripe import StripeEventReceived

COMPANY = UUID("0d9e6ac0-0000-4000-8000-000000000001")


def paid(**changed: object) -> InvoicePaid:
    fields: dict[str, object] = {
        "company_id": COMPANY,
        "invoice_id": "in_1",
        "amount_cents": 1290,
        "currency": "eur",
        "paid_at": datetime(2026, 11, 23, tzinfo=UTC),
        "billing_cycle": "2026-11",
        "customer_name": "Café du Port",
    }
    return InvoicePaid.model_validate(fields | changed)


def test_the_same_fact_has_the_same_id_on_every_machine() -> None:
    # Written down: ids that change with a version would make every old fact new.
    assert paid().event_id == UUID("c01c2649-79df-5c82-86aa-07b40ceb30a1")
    assert paid(amount_cents=1, customer_name="Other").event_id == paid().event_id
    assert paid(invoice_id="in_2").event_id != paid().event_id


class _Pair(Event):
    """Two words that make a fact."""

    type: ClassVar[str] = "test.pair.v1"
    identity: ClassVar[tuple[str, ...]] = ("one", "other")

    one: str
    other: str


EVENTS.pop(_Pair.type)  # declared here only

WORDS = st.text(st.sampled_from("ab|\\"), max_size=5)


@given(WORDS, WORDS, WORDS, WORDS)
def test_different_facts_have_different_ids(a: str, b: str, c: str, d: str) -> None:
    assume((a, b) != (c, d))
    assert _Pair(one=a, other=b).event_id != _Pair(one=c, other=d).event_id


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "body: Invalid JSON"),
        (b"\xff", "body: Invalid JSON"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'{"company_id": "nobody"}', "company_id: "),
        (paid().to_bytes().replace(b"1290", b'"much"'), "amount_cents: "),
        (paid().to_bytes().replace(b'"invoice_id"', b'"invoice"'), "invoice_id: Field required"),
    ],
)
def test_what_does_not_parse_says_which_field(data: bytes, named: str) -> None:
    with pytest.raises(PermanentFailure, match=r"billing\.invoice_paid\.v1 does not parse") as failure:
        InvoicePaid.from_bytes(data)
    assert named in str(failure.value)


def test_fields_that_a_newer_teller_added_are_borne() -> None:
    assert InvoicePaid.from_bytes(paid().to_bytes()[:-1] + b',"new_field": 1}') == paid()


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"[]", b"{}", b'{"id": 7}', b'{"id": "evt_1", "type": "x"}', b"[" * 100_000,
     b'{"id": "evt_1", "type": "x", "data": {"object": []}}'],
)  # fmt: skip
def test_what_is_not_a_stripe_event_fails_for_good(data: bytes) -> None:
    with pytest.raises(PermanentFailure, match="a Stripe event must"):
        StripeEventReceived.from_bytes(data)


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.type)
def test_every_event_says_who_tells_it_and_what_makes_it_the_same(event: type[Event]) -> None:
    assert event.teller() in (*TELLERS, "any")
    assert event.identity
    assert set(event.identity) <= set(event.model_fields)
    assert event.sentence().endswith((".", ";", ":")) or event.sentence()
