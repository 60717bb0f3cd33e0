"""Hours: by the clock of Paris, across years, clock changes and public holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications.domain import Hours, parse_hours

PARIS = ZoneInfo("Europe/Paris")
SMS = parse_hours("mon-fri 10:00-20:00, sat 10:00-19:00")
NIGHTLY = parse_hours("mon-sun 0:00-2:15, mon-sun 2:30-3:10, mon-sun 23:50-24:00, holiday 2:05-2:20")
MINUTE = timedelta(minutes=1)

YEARS = st.datetimes(datetime(2024, 1, 1), datetime(2034, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
# Both clock changes of some years, hour by hour around them.
CHANGES = st.builds(
    lambda day, minutes: datetime.combine(day, datetime.min.time(), UTC) + timedelta(minutes=minutes),
    st.sampled_from(
        [date(2025, 3, 30), date(2025, 10, 26), date(2026, 3, 29), date(2026, 10, 25), date(2027, 3, 28)]
    ),
    st.integers(-300, 600),
)


def here(day: str, clock: str, *, fold: int = 0) -> datetime:
    """In UTC: Python calls a moment that comes twice unequal to itself in another zone."""
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=PARIS, fold=fold).astimezone(UTC)


@given(YEARS)
def test_a_marketing_sms_never_leaves_on_a_sunday_nor_outside_its_hours(moment: datetime) -> None:
    opening = SMS.next_opening(moment)
    local = opening.astimezone(PARIS)
    assert opening >= moment
    assert SMS.is_open(opening)
    assert local.weekday() != 6
    assert 10 <= local.hour < (19 if local.weekday() == 5 else 20)


HOLIDAYS = """
2025-01-01 2025-04-21 2025-05-01 2025-05-08 2025-05-29 2025-06-09 2025-07-14 2025-08-15 2025-11-01
2025-11-11 2025-12-25 2026-01-01 2026-04-06 2026-05-01 2026-05-08 2026-05-14 2026-05-25 2026-07-14
2026-08-15 2026-11-01 2026-11-11 2026-12-25 2027-03-29 2027-05-06 2027-05-17
"""


@pytest.mark.parametrize("day", HOLIDAYS.split())
def test_nothing_leaves_on_the_public_holidays_as_the_law_lists_them(day: str) -> None:
    noon = here(day, "12:00")
    assert not SMS.is_open(noon)
    assert SMS.next_opening(noon).astimezone(PARIS).date() > date.fromisoformat(day)


@given(st.one_of(CHANGES, YEARS), st.sampled_from([SMS, NIGHTLY]))
def test_the_next_opening_is_the_first_open_minute(moment: datetime, hours: Hours) -> None:
    """Compared with asking minute by minute."""
    opening = hours.next_opening(moment)
    if opening == moment:
        assert hours.is_open(moment)
        return
    minute = moment.replace(second=0, microsecond=0) + MINUTE
    steps = 0
    while not hours.is_open(minute):
        minute, steps = minute + MINUTE, steps + 1
        assert steps < 6 * 24 * 60
    assert not hours.is_open(moment)
    assert opening == minute


def test_the_hour_left_out_in_spring_opens_right_after_it() -> None:
    hours = parse_hours("mon-sun 2:30-3:30")
    opening = hours.next_opening(here("2026-03-29", "01:00"))
    assert opening == here("2026-03-29", "03:00")


def test_the_hour_that_comes_twice_in_autumn_is_open_twice() -> None:
    hours = parse_hours("mon-sun 2:30-2:45")
    first = hours.next_opening(here("2026-10-25", "01:00"))
    second = hours.next_opening(first + timedelta(minutes=20))
    assert (first, second) == (here("2026-10-25", "02:30"), here("2026-10-25", "02:30", fold=1))
    assert second - first == timedelta(hours=1)


def test_ten_in_the_morning_is_ten_in_the_morning_whatever_the_clocks_did() -> None:
    for saturday_evening, monday in (("2026-03-28", "2026-03-30"), ("2026-10-24", "2026-10-26")):
        assert SMS.next_opening(here(saturday_evening, "19:00")) == here(monday, "10:00")


def test_from_a_long_weekend_it_is_the_next_working_day() -> None:
    assert SMS.next_opening(here("2026-04-04", "19:30")) == here("2026-04-07", "10:00")


def test_a_window_ends_before_its_last_minute_is_over() -> None:
    assert SMS.is_open(here("2026-03-02", "19:59"))
    assert not SMS.is_open(here("2026-03-02", "20:00"))
    assert parse_hours("mon 0-24").is_open(here("2026-03-02", "23:59"))


def test_always_is_always() -> None:
    sunday = here("2026-03-01", "03:00")
    assert parse_hours("always").next_opening(sunday) == sunday


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no window"),
        ("mon", "no window"),
        ("lun-ven 9:00-18:00", "no day"),
        ("sat-mon 9:00-18:00", "backwards"),
        ("holiday-mon 9:00-18:00", "no day"),
        ("mon 18:00-9:00", "closes before"),
        ("mon 9:00-9:00", "closes before"),
        ("mon 9:00-25:00", "no time of day"),
        ("mon 9:00-24:30", "no time of day"),
        ("mon 9:75-10:00", "no time of day"),
        ("mon 9:00-18:00;", "no window"),
    ],
)
def test_what_is_no_hours_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_hours(text)
