"""When a kind of message may leave: windows of each day, by the clock and the public holidays of Paris."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from libs.common.french_days import is_public_holiday

PARIS = ZoneInfo("Europe/Paris")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY = "holiday"
ALWAYS = "always"
DAY_MINUTES = 24 * 60
# Farther than the longest time between two public holidays.
_LOOK_AHEAD_DAYS = 400
_MINUTE = timedelta(minutes=1)
_PART = re.compile(r"(?P<first>[a-z]+)(?:-(?P<last>[a-z]+))? +(?P<opens>[\d:]+)-(?P<closes>[\d:]+)")
_CLOCK = re.compile(r"(?P<hour>\d{1,2})(?::(?P<minute>[0-5]\d))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes after midnight by the clock on the wall; `closes` is no longer in it."""

    opens: int
    closes: int

    def holds(self, minute: int) -> bool:
        return self.opens <= minute < self.closes


@dataclass(frozen=True)
class Hours:
    """Windows by day (`mon`…`sun`); a public holiday has those of `holiday` alone. None at all: always."""

    windows: Mapping[str, tuple[Window, ...]] = field(default_factory=dict)

    def on(self, day: date) -> tuple[Window, ...]:
        name = HOLIDAY if is_public_holiday(day) else DAYS[day.weekday()]
        return self.windows.get(name, ())

    def is_open(self, moment: datetime) -> bool:
        """`moment` is aware."""
        if not self.windows:
            return True
        here = moment.astimezone(PARIS)
        minute = here.hour * 60 + here.minute
        return any(window.holds(minute) for window in self.on(here.date()))

    def next_opening(self, moment: datetime) -> datetime:
        """`moment` itself while open, else the first instant after it at which it is; aware, in UTC.

        On the two days a year on which clocks change, what the clock shows twice is open twice, and a window
        that begins in the hour left out begins right after it.
        """
        moment = moment.astimezone(UTC)
        if self.is_open(moment):
            return moment
        first = moment.astimezone(PARIS).date()
        for ahead in range(_LOOK_AHEAD_DAYS):
            for opening in self._openings(first + timedelta(days=ahead)):
                if opening > moment:
                    return opening
        raise ValueError("these hours never open")

    def _openings(self, day: date) -> Iterator[datetime]:
        midnight, end = midnight_of(day), midnight_of(day + timedelta(days=1))
        if end - midnight == timedelta(days=1):
            yield from (
                midnight + window.opens * _MINUTE for window in sorted(self.on(day), key=lambda w: w.opens)
            )
            return
        for minute in range((end - midnight) // _MINUTE):
            if self.is_open(instant := midnight + minute * _MINUTE):
                yield instant


def midnight_of(day: date) -> datetime:
    """When the day begins in Paris, in UTC."""
    return datetime.combine(day, time.min, PARIS).astimezone(UTC)


def parse_hours(text: str) -> Hours:
    """`mon-fri 10:00-20:00, sat 10-19, holiday 10-12`, or `always`. Raises ValueError that says why."""
    if text.strip().lower() == ALWAYS:
        return Hours()
    windows: dict[str, list[Window]] = {}
    for part in text.lower().split(","):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise ValueError(
                f"{part.strip()!r} is no window; write {ALWAYS}, or like mon-fri 10:00-20:00, sat 10:00-19:00"
            )
        opens, closes = _minute(found["opens"]), _minute(found["closes"])
        if opens >= closes:
            raise ValueError(f"{part.strip()!r} closes before it opens; past midnight, write two windows")
        for day in _days(found["first"], found["last"]):
            windows.setdefault(day, []).append(Window(opens, closes))
    return Hours({day: tuple(each) for day, each in windows.items()})


def _days(first: str, last: str | None) -> tuple[str, ...]:
    if first == HOLIDAY and last is None:
        return (HOLIDAY,)
    for name in (first, last or first):
        if name not in DAYS:
            raise ValueError(f"{name!r} is no day; write one of {', '.join((*DAYS, HOLIDAY))}")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    if begin > end:
        raise ValueError(f"{first}-{last} runs backwards; write {first}-{DAYS[-1]} and {DAYS[0]}-{last}")
    return DAYS[begin : end + 1]


def _minute(text: str) -> int:
    found = _CLOCK.fullmatch(text)
    minute = int(found["hour"]) * 60 + int(found["minute"] or 0) if found else DAY_MINUTES + 1
    if minute > DAY_MINUTES:
        raise ValueError(f"{text!r} is no time of day; write it like 9:30, the end of the day as 24:00")
    return minute
