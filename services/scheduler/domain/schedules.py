"""When a routine is due: cron expressions and fixed periods, and which moment a local time is.

A local time that does not exist is the first moment after the gap; one that exists twice is its first moment.
So a cron expression fires once for each local time that it names, whatever clocks do. A period goes by real
time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from libs.common.errors import MisconfiguredError

PARIS = ZoneInfo("Europe/Paris")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_FIELDS = 5
_MINUTE = timedelta(minutes=1)
# No zone ever put its clocks back by more: so far ahead, a local time may be one that is past.
_LARGEST_CHANGE = timedelta(hours=25)
_EVERY = re.compile(r"every (\d+(?:\.\d+)?) ?(seconds?|minutes?|hours?|s|m|h)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


class Schedule(Protocol):
    """Moments, aware, in UTC, strictly rising."""

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Every one that is later than this, soonest first."""

    def before(self, moment: datetime) -> Iterator[datetime]:
        """Every one up to and with this, latest first."""

    def text(self) -> str:
        """As people write it."""


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields: minute, hour, day of the month, month, day of the week, in the local time of a zone.

    Raises MisconfiguredError for an expression that does not parse or never fires, and for a zone that nobody
    knows.
    """

    expression: str
    zone_name: str = "Europe/Paris"
    zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "zone", zone_of(self.zone_name))
        if len(self.expression.split()) != _FIELDS:
            raise MisconfiguredError(
                f"the cron expression {self.expression!r} must have five fields: "
                "minute hour day month day-of-week"
            )
        try:
            first = next(CronSim(self.expression, datetime(2024, 1, 1)), None)  # noqa: DTZ001 - local
        except CronSimError as error:
            raise MisconfiguredError(f"the cron expression {self.expression!r} is wrong: {error}") from error
        if first is None:
            raise MisconfiguredError(f"the cron expression {self.expression!r} never fires")

    def after(self, moment: datetime) -> Iterator[datetime]:
        last = moment
        for local in CronSim(self.expression, self._local(moment)):
            at = moment_of(local, self.zone)
            if at > last:
                yield at
                last = at

    def before(self, moment: datetime) -> Iterator[datetime]:
        last: datetime | None = None
        for local in CronSim(self.expression, self._local(moment) + _LARGEST_CHANGE, reverse=True):
            at = moment_of(local, self.zone)
            if at <= moment and at != last:
                yield at
                last = at

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)

    def text(self) -> str:
        return (
            self.expression if self.zone_name == PARIS.key else f"CRON_TZ={self.zone_name} {self.expression}"
        )


@dataclass(frozen=True, slots=True)
class Every:
    """By real time, counted from 1970 so that all clocks agree. Raises MisconfiguredError unless above 0."""

    period: timedelta

    def __post_init__(self) -> None:
        if self.period <= timedelta(0):
            raise MisconfiguredError(f"a period must be longer than nothing, not {self.period}")

    def after(self, moment: datetime) -> Iterator[datetime]:
        at = self._latest(moment)
        while True:
            at += self.period
            yield at

    def before(self, moment: datetime) -> Iterator[datetime]:
        at = self._latest(moment)
        while True:
            yield at
            at -= self.period

    def _latest(self, moment: datetime) -> datetime:
        return EPOCH + (moment - EPOCH) // self.period * self.period

    def text(self) -> str:
        seconds = self.period.total_seconds()
        for length, unit in ((3600, "hours"), (60, "minutes")):
            if seconds % length == 0:
                return f"every {seconds / length:g} {unit}"
        return f"every {seconds:g} seconds"


def zone_of(name: str) -> ZoneInfo:
    """Raises MisconfiguredError for a name that nobody knows."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise MisconfiguredError(f"there is no time zone {name!r}: write it as in Europe/Paris") from error


def moment_of(local: datetime, zone: ZoneInfo) -> datetime:
    """The moment of a local time, in UTC: the first one where there are two, the one after the gap where
    there is none."""
    while True:
        at = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None, fold=0) == local:
            return at
        local += _MINUTE


def parse(text: str) -> Schedule:
    """`0 9 * * *`, `CRON_TZ=Europe/London 0 9 * * *` or `every 10 minutes`. Raises MisconfiguredError."""
    words = text.strip()
    if match := _EVERY.fullmatch(words):
        return Every(timedelta(**{_UNITS[match[2][0]]: float(match[1])}))
    if words.startswith("every"):
        raise MisconfiguredError(f"{text!r} is no period: write it as in `every 10 minutes`")
    zone_name = PARIS.key
    if words.startswith("CRON_TZ="):
        zone_name, _, words = words.removeprefix("CRON_TZ=").partition(" ")
    return Cron(words, zone_name)
