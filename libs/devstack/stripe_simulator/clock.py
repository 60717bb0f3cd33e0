"""The simulated time: the machine's clock and an offset that only grows."""

import calendar
import time
from datetime import UTC, datetime

from libs.devstack.stripe_simulator.store import Record, Store

_INTERVAL_SECONDS = {"day": 86_400, "week": 604_800}


class SimulatedClock:
    """Unix seconds; the offset is kept in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        found = store.find("_clock", "clock")
        self._row: Record = found or {"object": "_clock", "id": "clock", "offset_seconds": 0}

    def now(self) -> int:
        return int(time.time()) + int(self._row["offset_seconds"])

    def advance_to(self, moment: int) -> None:
        """Move forward to a Unix time; a moment that has passed changes nothing."""
        gain = moment - self.now()
        if gain > 0:
            self._row["offset_seconds"] += gain
            self._store.put(self._row)


def add_interval(moment: int, interval: str, count: int) -> int:
    """A Unix time plus `count` days, weeks, months or years; the 31st becomes a short month's last day."""
    if interval in _INTERVAL_SECONDS:
        return moment + count * _INTERVAL_SECONDS[interval]
    at = datetime.fromtimestamp(moment, UTC)
    months = at.year * 12 + at.month - 1 + count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return int(at.replace(year=year, month=month + 1, day=day).timestamp())
