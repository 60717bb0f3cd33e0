"""Which part of Stripe's list of events is asked for next.

Stripe lists newest first and keeps 30 days. A walk goes the other way, from the oldest on, through windows of
time whose edges are whole seconds: events of the same second are never parted. The last window has no end, so
that no difference between two clocks hides anything. The next walk begins a while before what this one
reached, because the list may show an event late.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

STRIPE_REMEMBERS = timedelta(days=30)
FIRST_LENGTH = timedelta(hours=1)
SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(days=1)

AIM = 500
"""Events that a window should hold: what a kill in its middle repeats."""
MOST = 2000
"""Events beyond which a window is made shorter instead of being read to its end."""
LARGEST_GROWTH = 4


@dataclass(frozen=True, slots=True)
class Window:
    """Events created at `since` or later and before `until`; None: up to the newest."""

    since: datetime
    until: datetime | None


def begin_at(reached_at: datetime | None, now: datetime, overlap: timedelta) -> datetime:
    """Where a walk begins: a while before what the last one reached, never before what Stripe keeps."""
    oldest = now - STRIPE_REMEMBERS
    if reached_at is None:
        return _whole_second(oldest)
    return _whole_second(max(oldest, reached_at - overlap))


def window_at(since: datetime, length: timedelta, now: datetime) -> Window:
    """The window that begins there. A walk that rested for long skips what Stripe keeps no more."""
    since = max(since, _whole_second(now - STRIPE_REMEMBERS))
    until = since + length
    return Window(since, None if until >= now else until)


def can_be_shorter(length: timedelta) -> bool:
    return length > SHORTEST


def length_after(seen: int, span: timedelta) -> timedelta:
    """How long a window should be where `span` held so many events."""
    wanted = span.total_seconds() * AIM / max(seen, AIM // LARGEST_GROWTH)
    return min(LONGEST, max(SHORTEST, timedelta(seconds=math.floor(wanted))))


def shorter_than(length: timedelta, seen: int, span: timedelta) -> timedelta:
    """Certainly shorter than a window in which `span` alone held so many events; a second at least."""
    half = timedelta(seconds=math.floor(length.total_seconds() / 2))
    return max(SHORTEST, min(half, length_after(seen, span)))


def span_of(created: Iterable[datetime]) -> timedelta:
    """The time that these moments lie in, both ends included."""
    moments = list(created)
    return max(moments) - min(moments) + SHORTEST


def reached(since: datetime, newest_at: datetime | None) -> datetime:
    """How far a walk came that ends with the window that began at `since`: as Stripe's clock says."""
    return since if newest_at is None else max(since, newest_at)


def _whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
