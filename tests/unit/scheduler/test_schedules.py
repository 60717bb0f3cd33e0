"""When a routine is due: cron over fifty years against a model that walks minutes; what is refused."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from libs.common.errors import MisconfiguredError
from services.scheduler.domain import Cron, Every, parse
from services.scheduler.domain.schedules import moment_of

ZONES = ("Europe/Paris", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Tehran", "UTC")
MINUTE = timedelta(minutes=1)


@cache
def walk_of_day(zone_name: str, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """All real minutes of a day and some hours on either side, each with what the clock on the wall says."""
    zone = ZoneInfo(zone_name)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    start = noon - timedelta(hours=16) - (noon.astimezone(zone).utcoffset() or timedelta(0))
    moments = [start + n * MINUTE for n in range(32 * 60)]
    return tuple((at, at.astimezone(zone).replace(tzinfo=None, fold=0)) for at in moments)


def model(zone_name: str, day: date, hour: int, minute: int) -> datetime:
    """The first moment at which the wall shows this time; if it never does, the first at which it shows a
    later one. Found by walking, without asking which offset holds."""
    wanted = datetime.combine(day, time(hour, minute))
    walk = walk_of_day(zone_name, day)
    showing = [at for at, wall in walk if wall == wanted]
    return showing[0] if showing else next(at for at, wall in walk if wall > wanted)


def days_of_change(zone_name: str, since: int, until: int) -> Iterator[date]:
    """Days on which the clocks of a zone change, found by comparing each noon with the next."""
    zone = ZoneInfo(zone_name)
    day = date(since, 1, 1)
    while day.year < until:
        noons = [datetime(d.year, d.month, d.day, 12, tzinfo=zone) for d in (day, day + timedelta(days=1))]
        if noons[0].utcoffset() != noons[1].utcoffset():
            yield day + timedelta(days=1)
        day += timedelta(days=1)


def due_on(schedule: Cron, day: date) -> list[datetime]:
    """What is due while the wall shows this day, or would be if that time existed."""
    start = moment_of(datetime.combine(day, time()), schedule.zone) - timedelta(microseconds=1)
    end = moment_of(datetime.combine(day + timedelta(days=1), time()), schedule.zone)
    return list(takewhile(lambda at: at < end, schedule.after(start)))


@pytest.mark.parametrize("zone_name", ZONES[:-1])
def test_over_fifty_years_each_change_of_the_clock_fires_each_local_time_once(zone_name: str) -> None:
    """Every half hour of the six hours around each change: 100 changes a zone, both ways."""
    times = [(hour, minute) for hour in range(6) for minute in (0, 30)]
    changes = list(days_of_change(zone_name, 2000, 2050))
    assert len(changes) > 30
    for day in changes:
        expected = sorted({model(zone_name, day, hour, minute) for hour, minute in times})
        assert due_on(Cron("0,30 0-5 * * *", zone_name), day) == expected, day
        for hour, minute in times[:8]:
            [fired] = due_on(Cron(f"{minute} {hour} * * *", zone_name), day)
            assert fired == model(zone_name, day, hour, minute), (day, hour, minute)
    walk_of_day.cache_clear()


@st.composite
def fields(draw: st.DrawFn) -> tuple[set[int], set[int], set[int] | None, set[int] | None, set[int] | None]:
    def some(low: int, high: int) -> st.SearchStrategy[set[int]]:
        return st.sets(st.integers(low, high), min_size=1, max_size=4)

    return (
        draw(some(0, 59)),
        draw(some(0, 23)),
        draw(st.none() | some(1, 28)),
        draw(st.none() | some(1, 12)),
        draw(st.none() | some(0, 6)),
    )


def written(values: set[int] | None) -> str:
    return "*" if values is None else ",".join(map(str, sorted(values)))


@settings(max_examples=120)
@given(
    fields=fields(),
    day=st.dates(date(2000, 1, 1), date(2049, 12, 1)),
    zone_name=st.sampled_from(ZONES),
    seconds=st.integers(0, 86_399),
)
@example(({30}, {2}, None, None, None), date(2026, 3, 29), "Europe/Paris", 0)
@example(({30}, {2}, None, None, None), date(2026, 10, 25), "Europe/Paris", 0)
@example(({0, 30}, {1, 2, 3}, None, None, None), date(2026, 10, 24), "Europe/Paris", 80_000)
def test_a_cron_expression_fires_when_a_model_says_so_at_any_time_of_fifty_years(
    fields: tuple[set[int], set[int], set[int] | None, set[int] | None, set[int] | None],
    day: date,
    zone_name: str,
    seconds: int,
) -> None:
    minutes, hours, days, months, weekdays = fields
    schedule = Cron(" ".join(written(each) for each in fields), zone_name)
    now = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds)
    until = now + timedelta(days=3)

    def counts(each: date) -> bool:
        if months is not None and each.month not in months:
            return False
        by_day, by_weekday = each.day in (days or ()), (each.weekday() + 1) % 7 in (weekdays or ())
        if days is not None and weekdays is not None:
            return by_day or by_weekday  # cron's own rule, when both are said
        return (days is None or by_day) and (weekdays is None or by_weekday)

    expected = sorted(
        {
            at
            for n in range(-1, 6)
            if counts(each := day + timedelta(days=n))
            for hour in hours
            for minute in minutes
            if now < (at := model(zone_name, each, hour, minute)) <= until
        }
    )
    assert list(takewhile(lambda at: at <= until, schedule.after(now))) == expected
    assert sorted(takewhile(lambda at: at > now, schedule.before(until))) == expected


def test_in_the_gap_it_is_the_first_moment_after_and_in_the_overlap_the_first_of_two() -> None:
    paris = ZoneInfo("Europe/Paris")
    night = Cron("30 2 * * *")
    assert due_on(night, date(2026, 3, 29)) == [datetime(2026, 3, 29, 3, 0, tzinfo=paris)]
    assert due_on(night, date(2026, 10, 25)) == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]
    # Five that do not exist are one.
    assert due_on(Cron("*/15 2,3 * * *"), date(2026, 3, 29)) == [
        datetime(2026, 3, 29, 3, minute, tzinfo=paris) for minute in (0, 15, 30, 45)
    ]
    assert len(due_on(Cron("0 * * * *"), date(2026, 10, 25))) == 24
    assert len(due_on(Cron("0 * * * *"), date(2026, 3, 29))) == 23


def test_a_period_goes_by_real_time_whatever_clocks_do() -> None:
    start = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    hours = list(islice(Every(timedelta(hours=1)).after(start), 4))
    assert hours == [start + timedelta(hours=n) for n in (1, 2, 3, 4)]


@given(st.integers(1, 10**6), st.integers(0, 5 * 10**9))
def test_moments_of_a_period_rise_and_lie_around_now(seconds: int, since_1970: int) -> None:
    every, now = Every(timedelta(seconds=seconds)), datetime.fromtimestamp(since_1970, UTC)
    latest, following = next(every.before(now)), next(every.after(now))
    assert latest <= now < following
    assert following - latest == every.period


def test_the_last_day_of_a_month_and_the_29th_of_february_are_found() -> None:
    leaps = islice(Cron("0 0 29 2 *").after(datetime(2001, 1, 1, tzinfo=UTC)), 12)
    years = [at.astimezone(ZoneInfo("Europe/Paris")).year for at in leaps]
    assert years == [y for y in range(2001, 2050) if calendar.isleap(y)][:12]
    lasts = [
        at.astimezone(ZoneInfo("Europe/Paris"))
        for at in islice(Cron("0 0 L * *").after(datetime(2026, 1, 1, tzinfo=UTC)), 12)
    ]
    assert [at.day for at in lasts] == [calendar.monthrange(2026, month)[1] for month in range(1, 13)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0 30 2 *", "is wrong: Bad day-of-month"),
        ("0 0 31 2,4,6,9,11 *", "is wrong: Bad day-of-month"),
        ("61 0 * * *", "is wrong: Bad minute"),
        ("0 9 * *", "must have five fields"),
        ("0 0 9 * * *", "must have five fields"),
        ("", "must have five fields"),
        ("CRON_TZ=Europe/Pariss 0 9 * * *", "no time zone 'Europe/Pariss'"),
        ("CRON_TZ=../../etc/passwd 0 9 * * *", "no time zone"),
        ("every 0 minutes", "longer than nothing"),
        ("every -5 minutes", "is no period"),
        ("every fortnight", "is no period"),
    ],
)
def test_what_can_never_be_is_refused_with_what_and_where(text: str, said: str) -> None:
    with pytest.raises(MisconfiguredError, match=said):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "0 9 * * *",
        "CRON_TZ=Europe/London 30 2 1,15 * *",
        "every 10 minutes",
        "every 0.1 seconds",
        "every 2 hours",
    ],
)
def test_a_schedule_is_written_as_it_was_read(text: str) -> None:
    assert parse(text).text() == text
