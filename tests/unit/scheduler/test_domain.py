"""When a step is due, and when it is too late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from libs.common.signup_steps import SIGNUP_STEPS
from services.scheduler import domain
from services.scheduler.domain import Occurrence, Status, Step

REGISTERED_AT = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
STEP = Step(
    routine=domain.SIGNUP_ROUTINE,
    name="signup_first_step",
    position=0,
    offset=timedelta(hours=2),
    too_late=timedelta(hours=48),
)
SECONDS = st.integers(min_value=946_684_800, max_value=4_102_444_800)
MOMENTS = SECONDS.map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
HOURS = st.floats(min_value=0.001, max_value=10_000).map(lambda hours: timedelta(hours=hours))


def test_the_first_step_is_due_two_hours_after_registration_even_when_clocks_change() -> None:
    assert STEP.due_at(REGISTERED_AT) == datetime(2026, 3, 29, 2, 30, tzinfo=UTC)


def test_a_step_expires_so_long_after_it_was_due() -> None:
    assert STEP.expires_at(REGISTERED_AT) == STEP.due_at(REGISTERED_AT) + timedelta(hours=48)


@given(anchor=MOMENTS, now=MOMENTS, offset=HOURS, too_late=HOURS)
def test_looking_by_anchor_finds_exactly_what_is_due_and_what_expired(
    anchor: datetime, now: datetime, offset: timedelta, too_late: timedelta
) -> None:
    step = Step("routine", "step", 0, offset, too_late)
    assert (anchor <= step.newest_due_anchor(now)) == (step.due_at(anchor) <= now)
    assert (anchor <= step.newest_expired_anchor(now)) == (step.expires_at(anchor) <= now)


def test_the_fact_of_an_occurrence_is_the_same_however_often_it_is_made() -> None:
    occurrence = Occurrence(
        company_id=UUID(int=7),
        name="Boulangerie Martin",
        email="contact@martin.example",
        due_at=STEP.due_at(REGISTERED_AT),
        expires_at=STEP.expires_at(REGISTERED_AT),
        status=Status.TOLD,
        why=None,
        registered_event_id=None,
        traceparent=None,
    )
    fact = domain.signup_step_due(STEP, occurrence)
    assert fact.step == "signup_first_step"
    assert fact.expires_at - fact.due_at == timedelta(hours=48)
    assert fact.event_id == domain.signup_step_due(STEP, occurrence).event_id


def test_nobody_is_told_two_steps_at_once() -> None:
    """However long the clock was off: a step ends at the latest where the next one begins."""
    steps = domain.signup_routine(SIGNUP_STEPS, [timedelta(days=365)] * len(SIGNUP_STEPS))
    assert [step.position for step in steps] == list(range(8))
    for before, after in pairwise(steps):
        assert before.expires_at(REGISTERED_AT) == after.due_at(REGISTERED_AT)
    for hours in range(0, 24 * 70):
        now = REGISTERED_AT + timedelta(hours=hours)
        told = [s for s in steps if s.due_at(REGISTERED_AT) <= now < s.expires_at(REGISTERED_AT)]
        assert len(told) == (0 if hours < 2 else 1)
