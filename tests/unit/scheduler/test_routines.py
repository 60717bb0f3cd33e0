"""When routines that are not about a company's life are due: plain values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.scheduler.domain import PARIS, latest_morning, latest_slot, latest_subscription_check

TEN_MINUTES = timedelta(minutes=10)


def test_a_slot_is_the_last_multiple_of_its_period() -> None:
    noon = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    assert latest_slot(noon, TEN_MINUTES) == noon
    assert latest_slot(noon + timedelta(minutes=9, seconds=59), TEN_MINUTES) == noon
    assert latest_slot(noon - timedelta(microseconds=1), TEN_MINUTES) == noon - TEN_MINUTES


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (datetime(2026, 3, 1, 0, 0, tzinfo=PARIS), datetime(2026, 3, 1, tzinfo=PARIS)),
        (datetime(2026, 2, 28, 23, 59, tzinfo=PARIS), None),
        (datetime(2026, 7, 14, 22, 0, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=PARIS)),
        (datetime(2026, 7, 14, 21, 59, tzinfo=UTC), None),
        (datetime(2026, 7, 15, 23, 59, tzinfo=PARIS), datetime(2026, 7, 15, tzinfo=PARIS)),
        (datetime(2026, 7, 20, 0, 0, tzinfo=PARIS), None),
    ],
)
def test_subscriptions_are_checked_at_midnight_in_paris_and_not_days_later(
    now: datetime, due: datetime | None
) -> None:
    assert latest_subscription_check(now) == due


@pytest.mark.parametrize(
    ("now", "morning"),
    [
        ("2026-11-30T08:00:00+00:00", "2026-11-30T09:00:00+01:00"),
        ("2026-11-30T07:59:59+00:00", "2026-11-29T09:00:00+01:00"),
        ("2026-11-30T23:30:00+00:00", "2026-11-30T09:00:00+01:00"),  # December in Paris already
        ("2026-07-31T07:00:00+00:00", "2026-07-31T09:00:00+02:00"),
        ("2026-07-31T06:59:59+00:00", "2026-07-30T09:00:00+02:00"),
        ("2026-03-29T07:00:00+00:00", "2026-03-29T09:00:00+02:00"),  # the night that loses an hour
        ("2026-10-25T07:59:00+00:00", "2026-10-24T09:00:00+02:00"),  # the night that has one more
        ("2027-01-01T07:00:00+00:00", "2026-12-31T09:00:00+01:00"),
    ],
)
def test_the_latest_morning_is_one_of_paris(now: str, morning: str) -> None:
    assert latest_morning(datetime.fromisoformat(now), 9) == datetime.fromisoformat(morning)
