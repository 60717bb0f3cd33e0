"""Which methods a cycle tries, in which order, and under which keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs.integrations.stripe import LastFailure, PaymentMethod
from services.billing.domain import (
    Attempt,
    AttemptState,
    PastDecline,
    Policy,
    attempt_key,
    is_own_key,
    needs_customer,
    plan_attempts,
)
from services.billing.settings import load_policy

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
POLICY = load_policy(None)
TRIES_ALL = replace(POLICY, tries=replace(POLICY.tries, skip_hopeless=False))


def method(number: int, *, fingerprint: str | None = None, days_old: int = 0) -> PaymentMethod:
    return PaymentMethod(
        id=f"pm_{number}",
        type="card",
        label=f"visa •••• {number:04}",
        fingerprint=fingerprint or f"fp_{number}",
        created_at=NOW - timedelta(days=days_old),
    )


def plan(
    methods: list[PaymentMethod],
    *,
    just_failed_id: str | None = None,
    just_failed_code: str | None = None,
    default_id: str | None = None,
    past: dict[str, PastDecline] | None = None,
    policy: Policy = POLICY,
) -> list[Attempt]:
    return plan_attempts(
        methods,
        just_failed=LastFailure(just_failed_id, just_failed_code) if just_failed_id else None,
        default_id=default_id,
        past_declines=past or {},
        policy=policy,
        now=NOW,
    )


def test_the_default_comes_first_then_the_newest() -> None:
    methods = [method(1, days_old=3), method(2, days_old=1), method(3, days_old=2)]
    assert [a.payment_method_id for a in plan(methods, default_id="pm_1")] == ["pm_1", "pm_2", "pm_3"]


def test_the_one_that_just_failed_is_left_out_with_why_and_so_is_the_same_card() -> None:
    methods = [method(1), method(2, fingerprint="fp_1"), method(3)]
    why = {a.payment_method_id: a.why for a in plan(methods, just_failed_id="pm_1")}
    assert why == {"pm_1": "just_failed", "pm_2": "just_failed", "pm_3": None}


def test_a_final_decline_is_not_tried_again_unless_the_policy_says_so() -> None:
    past = {"fp_1": PastDecline("stolen_card", NOW - timedelta(days=40))}
    assert plan([method(1)], past=past)[0].why == "last_decline_is_final"
    assert plan([method(1)], past=past, policy=TRIES_ALL)[0].state is AttemptState.PLANNED


def test_a_card_cools_down_for_three_days() -> None:
    code = "previously_declined_do_not_retry"
    hot = {"fp_1": PastDecline(code, NOW - timedelta(days=2))}
    cool = {"fp_1": PastDecline(code, NOW - timedelta(days=4))}
    assert plan([method(1)], past=hot)[0].why == "cooling_down"
    assert plan([method(1)], past=cool)[0].why is None


@given(
    fingerprints=st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8),
    failed=st.integers(-1, 8),
    default=st.integers(-1, 8),
)
def test_every_method_stands_once_and_each_card_is_tried_at_most_once(
    fingerprints: list[str], failed: int, default: int
) -> None:
    methods = [method(n, fingerprint=f, days_old=n) for n, f in enumerate(fingerprints)]
    attempts = plan(methods, just_failed_id=f"pm_{failed}", default_id=f"pm_{default}")
    assert sorted(a.payment_method_id for a in attempts) == sorted(m.id for m in methods)
    tried = [a.fingerprint for a in attempts if a.state is AttemptState.PLANNED]
    assert len(tried) == len(set(tried))
    failed_card = {m.fingerprint for m in methods if m.id == f"pm_{failed}"}
    assert set(tried) == set(fingerprints) - failed_card


def test_the_decline_of_the_one_that_just_failed_counts_like_one_of_our_tries() -> None:
    asks = plan([method(1), method(2)], just_failed_id="pm_1", just_failed_code="authentication_required")
    assert {a.payment_method_id: (a.why, a.decline_code) for a in asks} == {
        "pm_1": ("just_failed", "authentication_required"),
        "pm_2": (None, None),
    }
    assert needs_customer(asks, POLICY)
    poor = plan([method(1), method(2)], just_failed_id="pm_1", just_failed_code="insufficient_funds")
    assert not needs_customer(poor, POLICY)


def test_our_keys_are_recognised_as_our_own_and_differ_by_version() -> None:
    first, second = (attempt_key("in_1", 2, "pm_3", version) for version in (1, 2))
    assert first != second
    assert is_own_key(first)
    assert is_own_key(second)
    assert not is_own_key(None)
    assert not is_own_key("dashboard-123")


def test_a_method_that_only_the_customer_can_help_makes_him_be_asked() -> None:
    [attempt] = plan([method(1)])
    declined = replace(attempt, state=AttemptState.DECLINED, decline_code="insufficient_funds")
    asked = replace(declined, decline_code="authentication_required")
    assert not needs_customer([declined], POLICY)
    assert needs_customer([declined, asked], POLICY)
    assert needs_customer([replace(declined, state=AttemptState.ACTION_REQUIRED)], POLICY)
