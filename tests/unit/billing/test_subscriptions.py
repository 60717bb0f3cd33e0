"""Copies of a subscription: any order ends in the same one and tells the same beginnings and ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.errors import PermanentFailure
from libs.common.events import Event
from libs.common.events.billing import SubscriptionChanged
from libs.integrations.stripe import Subscription, read_subscription
from services.billing.domain import SubscriptionCopy, further, must_ask, told_of

BEGUN = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
COMPANY = UUID("0d9e6ac0-7f1b-4c52-9b0e-3f5d8a1c2e44")

SUBSCRIPTION = Subscription(
    id="sub_1",
    customer_id="cus_1",
    status="active",
    plan_id="price_1",
    plan="Standard",
    monthly_cents=2990,
    currency="eur",
    started_at=BEGUN,
    trial_ends_at=None,
    period_ends_at=BEGUN + timedelta(days=30),
    ends_at=None,
    ended_at=None,
    cancel_reason=None,
)

lives = st.lists(
    st.builds(
        lambda status, plan, second, fetched: SubscriptionCopy(
            replace(
                SUBSCRIPTION,
                status=status,
                plan_id=f"price_{plan}",
                trial_ends_at=BEGUN + timedelta(days=14) if status == "trialing" else None,
                ended_at=BEGUN + timedelta(days=40) if status == "canceled" else None,
            ),
            BEGUN + timedelta(seconds=second),
            is_fetched=fetched,
        ),
        st.sampled_from(["incomplete", "trialing", "active", "past_due", "unpaid", "paused", "canceled"]),
        st.integers(1, 3),
        st.integers(0, 4),  # few seconds: many copies of the same one
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


def lived(copies: Sequence[SubscriptionCopy]) -> tuple[SubscriptionCopy, set[UUID]]:
    """What is kept in the end, and the ids of what was told but for changes."""
    kept: SubscriptionCopy | None = None
    told: list[Event] = []
    for copy in copies:
        told.extend(told_of(COMPANY, kept, copy, has_another=False))
        kept = further(kept, copy)
    assert kept is not None
    return kept, {event.event_id for event in told if not isinstance(event, SubscriptionChanged)}


@given(life=lives, data=st.data())
@settings(max_examples=400)
def test_any_order_of_a_life_ends_the_same_and_tells_the_same_beginnings_and_ends(
    life: list[SubscriptionCopy], data: st.DataObject
) -> None:
    again = data.draw(st.permutations(life + life[: len(life) // 2]))
    assert lived(again) == lived(life)


@given(life=lives)
def test_what_ended_never_lives_again(life: list[SubscriptionCopy]) -> None:
    kept, _ = lived(life)
    assert kept.subscription.is_ended == any(copy.subscription.is_ended for copy in life)


def test_two_different_copies_of_one_second_are_settled_by_asking() -> None:
    active = SubscriptionCopy(SUBSCRIPTION, BEGUN)
    past_due = SubscriptionCopy(replace(SUBSCRIPTION, status="past_due"), BEGUN)
    assert must_ask(active, past_due)
    assert must_ask(past_due, active)
    assert not must_ask(active, active)
    fetched = replace(active, is_fetched=True)
    assert further(further(active, past_due), fetched) is fetched
    assert further(fetched, past_due) is fetched
    assert not must_ask(fetched, past_due)


def test_a_repeated_copy_tells_no_change() -> None:
    copy = SubscriptionCopy(SUBSCRIPTION, BEGUN)
    later = replace(copy, seen_at=BEGUN + timedelta(days=1))
    assert [type(event) for event in told_of(COMPANY, copy, later, has_another=False)] == [
        type(event) for event in told_of(COMPANY, copy, copy, has_another=False)
    ]


ITEM = {"price": {"id": "price_1", "nickname": "Standard", "unit_amount": 2990, "currency": "eur",
                  "recurring": {"interval": "month", "interval_count": 1}}, "quantity": 1}  # fmt: skip
THING = {"id": "sub_1", "customer": "cus_1", "status": "active", "created": 1_795_000_000,
         "start_date": 1_795_000_000, "items": {"data": [ITEM]}}  # fmt: skip


@pytest.mark.parametrize(
    ("interval", "count", "amount", "quantity", "monthly"),
    [
        ("month", 1, 2990, 1, 2990),
        ("month", 3, 6000, 2, 4000),
        ("year", 1, 12000, 1, 1000),
        ("week", 1, 1200, 1, 5200),
        ("month", 1, 0, 1, 0),
        ("month", 1, None, 1, None),  # tiered
        ("eon", 1, 100, 1, None),
    ],
)
def test_what_a_month_costs(
    interval: str, count: int, amount: int | None, quantity: int, monthly: int | None
) -> None:
    price = {"id": "price_1", "unit_amount": amount, "currency": "eur",
             "recurring": {"interval": interval, "interval_count": count}}  # fmt: skip
    read = read_subscription({**THING, "items": {"data": [{"price": price, "quantity": quantity}]}})
    assert read.monthly_cents == monthly


def test_both_shapes_say_when_the_period_ends() -> None:
    before_basil = read_subscription({**THING, "current_period_end": 1_797_592_000})
    since = read_subscription({**THING, "items": {"data": [{**ITEM, "current_period_end": 1_797_592_000}]}})
    assert before_basil == since
    assert since.period_ends_at == datetime.fromtimestamp(1_797_592_000, UTC)


def test_a_pause_of_collection_is_a_pause() -> None:
    assert read_subscription({**THING, "pause_collection": {"behavior": "void"}}).status == "paused"


@pytest.mark.parametrize(
    "broken", [{"customer": None}, {"start_date": "soon"}, {"items": {"data": ["x"]}}, {"status": None}]
)
def test_what_is_no_subscription_is_refused_by_name(broken: dict[str, object]) -> None:
    thing = {name: value for name, value in {**THING, **broken}.items() if value is not None}
    with pytest.raises(PermanentFailure, match="not a Stripe subscription"):
        read_subscription(thing)
