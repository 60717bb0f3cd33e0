"""The table of routines: when each of ours is due, what becomes of moments that passed, what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import MisconfiguredError
from services.scheduler.domain import (
    CHECK_CARDS,
    CHECK_SUBSCRIPTIONS,
    PARIS,
    RECONCILE_STRIPE,
    ROUTINES,
    CatchUp,
    Cron,
    Every,
    Overlap,
    Pause,
    Routine,
    SkipWhy,
    is_too_late,
    plan,
    with_schedules,
)

BY_NAME = {routine.name: routine for routine in ROUTINES}
TEN_MINUTES = timedelta(minutes=10)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOURLY = Routine(
    name="hourly", schedule=Every(timedelta(hours=1)), sentence="Chaque heure.", alarm_after=TEN_MINUTES
)


def due(now: datetime) -> datetime | None:
    """The last moment at which subscriptions were to be checked, unless that is too late."""
    routine = BY_NAME[CHECK_SUBSCRIPTIONS]
    latest = routine.latest_slot(now)
    return None if is_too_late(routine, latest, now) else latest


def test_a_slot_is_the_last_multiple_of_its_period() -> None:
    latest = BY_NAME[RECONCILE_STRIPE].latest_slot
    assert latest(NOON) == NOON
    assert latest(NOON + timedelta(minutes=9, seconds=59)) == NOON
    assert latest(NOON - timedelta(microseconds=1)) == NOON - TEN_MINUTES


@pytest.mark.parametrize(
    ("now", "expected"),
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
    now: datetime, expected: datetime | None
) -> None:
    assert due(now) == expected


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
    latest = BY_NAME[CHECK_CARDS].latest_slot(datetime.fromisoformat(now))
    assert latest == datetime.fromisoformat(morning)


def slots(count: int) -> list[datetime]:
    return [NOON - timedelta(hours=count - 1 - n) for n in range(count)]


def whys(routine: Routine, count: int = 4, **given: object) -> list[str | None]:
    values = {"pauses": (), "is_running": False, **given}
    return [p.why for p in plan(routine, slots(count), NOON, **values)]  # type: ignore[arg-type]


def test_of_several_moments_that_passed_the_latest_stands_for_all() -> None:
    late = SkipWhy.SUPERSEDED
    assert whys(HOURLY) == [late, late, late, None]
    assert whys(HOURLY, more_follow=True) == [late] * 4
    window = replace(HOURLY, window=timedelta(hours=2))
    assert whys(window) == [SkipWhy.TOO_LATE, late, late, None]


def test_all_are_worked_where_that_is_asked_for_but_what_is_too_late() -> None:
    every = replace(HOURLY, catch_up=CatchUp.ALL)
    assert whys(every) == [None] * 4
    assert whys(replace(every, window=timedelta(hours=2))) == [SkipWhy.TOO_LATE, None, None, None]


def test_none_is_made_up_for_where_that_is_asked_for() -> None:
    missed = SkipWhy.MISSED
    assert whys(replace(HOURLY, catch_up=CatchUp.SKIP)) == [missed, missed, missed, None]


def test_a_moment_in_a_pause_is_skipped_and_stands_for_none_before_it() -> None:
    pause = Pause(NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    assert whys(HOURLY, pauses=(pause,)) == [SkipWhy.SUPERSEDED, None, SkipWhy.PAUSED, SkipWhy.PAUSED]
    ended = Pause(NOON - timedelta(hours=2), NOON)
    assert whys(HOURLY, pauses=(ended,)) == [SkipWhy.SUPERSEDED, SkipWhy.PAUSED, SkipWhy.PAUSED, None]


def test_a_moment_that_comes_while_the_run_before_goes_on_waits_or_is_skipped() -> None:
    assert whys(HOURLY, 1, is_running=True) == [None]
    assert whys(replace(HOURLY, overlap=Overlap.SKIP), 1, is_running=True) == [SkipWhy.OVERLAP]


@given(st.integers(0, 10**6))
def test_work_begins_within_the_jitter_and_for_one_moment_always_at_the_same(minutes: int) -> None:
    routine = replace(HOURLY, jitter=timedelta(minutes=7))
    at = NOON + timedelta(minutes=minutes)
    assert at <= routine.begins_at(at) <= at + timedelta(minutes=7)
    assert routine.begins_at(at) == routine.begins_at(at)


def test_jitter_spreads() -> None:
    routine = replace(HOURLY, jitter=timedelta(minutes=7))
    waits = {routine.begins_at(at) - at for at in slots(50)}
    assert len(waits) == 50
    assert max(waits) - min(waits) > timedelta(minutes=5)


def test_working_days_leave_out_weekends_and_french_holidays() -> None:
    routine = replace(HOURLY, schedule=Cron("0 9 * * *"), working_days_only=True)
    start = datetime(2026, 12, 23, 20, 0, tzinfo=UTC)
    days = [at.astimezone(PARIS).date().isoformat() for at in islice(routine.slots_after(start), 6)]
    assert days == ["2026-12-24", "2026-12-28", "2026-12-29", "2026-12-30", "2026-12-31", "2027-01-04"]


@pytest.mark.parametrize("routine", ROUTINES, ids=lambda routine: routine.name)
def test_the_alarm_of_each_routine_comes_after_its_next_run(routine: Routine) -> None:
    for slot, following in pairwise(islice(routine.slots_after(NOON), 40)):
        assert following < routine.expected_by(slot) <= following + timedelta(hours=3)
    assert routine.sentence.endswith(".")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"jitter": -TEN_MINUTES}, "routine hourly: its jitter is negative"),
        ({"window": -TEN_MINUTES}, "routine hourly: its window is negative"),
        ({"alarm_after": -TEN_MINUTES}, "routine hourly: its alarm is negative"),
        ({"window": timedelta(days=100)}, "routine hourly: its window is longer"),
        ({"schedule": Cron("0 9 25 12 *"), "working_days_only": True}, "never fires on a working day"),
        ({"schedule": Cron("0 9 * * 6,0"), "working_days_only": True}, "never fires on a working day"),
    ],
)
def test_a_routine_that_can_never_be_is_refused_with_what_and_where(
    values: dict[str, object], said: str
) -> None:
    with pytest.raises(MisconfiguredError, match=said):
        replace(HOURLY, **values)  # type: ignore[arg-type]


def test_another_time_for_a_routine_that_nobody_knows_is_refused() -> None:
    with pytest.raises(MisconfiguredError, match="no routine 'chek_unpaid'; there are check_cards"):
        with_schedules(ROUTINES, {"chek_unpaid": Cron("0 9 * * *")})
