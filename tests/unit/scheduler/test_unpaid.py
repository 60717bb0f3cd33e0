"""When unpaid invoices are looked at, and which notices are due: edges of time, as plain values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.scheduler.domain import CHECK_UNPAID, PARIS, ROUTINES, Cron, cutoff_step, reminder_stages
from services.scheduler.settings import SchedulerSettings

[MORNINGS] = [routine for routine in ROUTINES if routine.name == CHECK_UNPAID]
NEEDED = {"app_env": "test", "app_secret": "x" * 16, "kafka_bootstrap_servers": "localhost:1"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


@pytest.mark.parametrize(
    ("now", "morning"),
    [
        ("2026-11-24 09:00", "2026-11-24 09:00"),
        ("2026-11-24 08:59", "2026-11-23 09:00"),
        ("2026-11-23 08:59", "2026-11-20 09:00"),  # a Monday: back to Friday
        ("2026-11-29 12:00", "2026-11-27 09:00"),
        ("2026-12-27 09:00", "2026-12-24 09:00"),  # Christmas, then a weekend
        ("2026-03-30 09:00", "2026-03-30 09:00"),  # the day after the clocks changed
        ("2026-10-26 09:00", "2026-10-26 09:00"),
    ],
)
def test_the_last_working_morning(now: str, morning: str) -> None:
    assert MORNINGS.latest_slot(at(now)) == at(morning)
    assert MORNINGS.latest_slot(at(now).astimezone(UTC)) == at(morning)


@given(st.integers(0, 5 * 365 * 24 * 60), st.integers(0, 23))
def test_a_morning_never_lies_in_the_future_and_stays_until_the_next_one(minutes: int, hour: int) -> None:
    now = at("2025-01-01 00:00") + timedelta(minutes=minutes)
    mornings = replace(MORNINGS, schedule=Cron(f"0 {hour} * * *"))
    morning = mornings.latest_slot(now)
    assert now - timedelta(days=6) < morning <= now
    assert morning.astimezone(PARIS).weekday() < 5
    assert mornings.latest_slot(morning) == morning


def test_the_reminders_begin_with_the_second_notice_and_end_where_the_next_begins() -> None:
    second, third = reminder_stages([3, 7])
    assert (second.stage, second.offset, second.too_late) == (2, timedelta(days=3), timedelta(days=4))
    assert (third.stage, third.offset, third.too_late) == (3, timedelta(days=7), timedelta(days=14))
    assert reminder_stages([]) == ()


def test_an_occurrence_of_a_deadline_is_named_by_its_day_in_paris() -> None:
    assert cutoff_step(datetime(2026, 11, 23, 23, 30, tzinfo=UTC)) == "cutoff:2026-11-24"


@pytest.mark.parametrize("days", ["7,3", "3,3", "0,3", "three", "3;7"])
def test_days_that_do_not_rise_are_refused(days: str) -> None:
    with pytest.raises(ValidationError, match="UNPAID_REMINDER_DAYS"):
        SchedulerSettings(**NEEDED, unpaid_reminder_days=days)  # type: ignore[arg-type]
