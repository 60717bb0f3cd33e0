"""The walk's windows: whatever comes when, whatever is killed, nothing that Stripe lists is passed over."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.domain import walk
from services.billing.domain.walk import Window

NOW = datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=UTC)
OVERLAP = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)


def test_the_first_walk_begins_with_the_oldest_event_that_stripe_keeps() -> None:
    assert walk.begin_at(None, NOW, OVERLAP) == NOW.replace(microsecond=0) - timedelta(days=30)


def test_the_next_walk_begins_a_while_before_what_the_last_one_reached() -> None:
    reached = NOW - timedelta(hours=2)
    assert walk.begin_at(reached, NOW, OVERLAP) == reached.replace(microsecond=0) - OVERLAP


def test_after_a_long_rest_a_walk_begins_with_what_stripe_still_keeps() -> None:
    assert walk.begin_at(NOW - timedelta(days=90), NOW, OVERLAP) == walk.begin_at(None, NOW, OVERLAP)


def test_the_last_window_has_no_end_so_that_a_wrong_clock_hides_nothing() -> None:
    since = NOW.replace(microsecond=0) - MINUTE
    assert walk.window_at(since, timedelta(hours=1), NOW) == Window(since, None)
    assert walk.window_at(since, timedelta(seconds=10), NOW) == Window(since, since + timedelta(seconds=10))


def test_windows_grow_where_nothing_happens_and_shrink_where_much_does() -> None:
    hour = timedelta(hours=1)
    assert walk.length_after(0, hour) == 4 * hour
    assert walk.length_after(walk.AIM, hour) == hour
    assert walk.length_after(10 * walk.AIM, hour) == hour / 10
    assert walk.length_after(10**9, hour) == walk.SHORTEST
    assert walk.length_after(0, timedelta(days=3)) == walk.LONGEST


@dataclass(frozen=True)
class Happened:
    """An event: when Stripe says that it happened, and from when on the list shows it."""

    created_at: datetime
    listed_at: datetime


@dataclass
class Listing:
    """Stripe's list of events, newest first, and the walk as billing drives it."""

    happened: list[Happened]
    most: int
    seen: set[Happened] = field(default_factory=set)
    reached_at: datetime | None = None
    requests: int = 0

    def listed(self, window: Window, now: datetime) -> list[Happened]:
        self.requests += 1
        found = [
            event
            for event in self.happened
            if event.listed_at <= now
            and window.since <= event.created_at
            and (window.until is None or event.created_at < window.until)
        ]
        return sorted(found, key=lambda event: event.created_at, reverse=True)

    def walk_to_the_end(self, now: datetime, kills: list[bool]) -> None:
        newest_at: datetime | None = None
        since, length = walk.begin_at(self.reached_at, now, OVERLAP), walk.FIRST_LENGTH
        while True:
            window = walk.window_at(since, length, now)
            found = self.listed(window, now)
            if len(found) > self.most and walk.can_be_shorter(length):
                span = walk.span_of(event.created_at for event in found[: self.most])
                shorter = walk.shorter_than(length, self.most, span)
                assert shorter < length
                length = shorter
                continue
            self.seen.update(found)
            if kills and kills.pop():
                continue  # what was not stored is done again
            newest_at = max([event.created_at for event in found], default=newest_at)
            if window.until is None:
                self.reached_at = walk.reached(window.since, newest_at)
                return
            since, length = window.until, walk.length_after(len(found), window.until - window.since)


seconds_ago = st.integers(min_value=0, max_value=40 * 24 * 3600)
bursts = st.lists(st.tuples(seconds_ago, st.integers(min_value=1, max_value=40)), max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    bursts=bursts,
    delays=st.lists(st.integers(min_value=0, max_value=20 * 60), min_size=1, max_size=5),
    pauses=st.lists(st.integers(min_value=1, max_value=20 * 24 * 3600), min_size=1, max_size=4),
    skew=st.integers(min_value=-300, max_value=300),
    kills=st.lists(st.booleans(), max_size=10),
    most=st.integers(min_value=5, max_value=60),
)
def test_everything_that_stripe_lists_is_seen(
    *,
    bursts: list[tuple[int, int]],
    delays: list[int],
    pauses: list[int],
    skew: int,
    kills: list[bool],
    most: int,
) -> None:
    """Bursts within one second, events that the list shows late, walks with pauses, clocks that differ."""
    start = NOW - timedelta(days=40)
    happened = []
    for number, (ago, count) in enumerate(bursts):
        created_at = NOW.replace(microsecond=0) - timedelta(seconds=ago)
        late = timedelta(seconds=delays[number % len(delays)])
        listed_at = created_at + late - timedelta(seconds=skew)
        happened += [Happened(created_at + timedelta(microseconds=n), listed_at) for n in range(count)]
    happened = [replace(h, created_at=h.created_at.replace(microsecond=0)) for h in happened]
    listing = Listing(happened, most)
    now, walks = start, []
    for pause in [*pauses, 40 * 24 * 3600]:
        now = min(now + timedelta(seconds=pause), NOW + OVERLAP)
        listing.walk_to_the_end(now, list(kills))
        walks.append(now)
    for event in happened:
        # Kept by Stripe, and listed, at the time of a walk.
        is_listed = any(
            event.listed_at <= at and event.created_at >= at - walk.STRIPE_REMEMBERS for at in walks
        )
        assert not is_listed or event in listing.seen


@settings(max_examples=50, deadline=None)
@given(st.integers(min_value=0, max_value=30 * 24 * 3600))
def test_a_quiet_account_costs_few_requests(ago: int) -> None:
    created_at = NOW.replace(microsecond=0) - timedelta(seconds=ago)
    listing = Listing([Happened(created_at, created_at)], most=100)
    listing.walk_to_the_end(NOW, [])
    assert listing.requests < 50
    first = listing.requests
    listing.walk_to_the_end(NOW + timedelta(minutes=10), [])
    assert listing.requests - first < 40


def test_a_walk_every_ten_minutes_costs_one_window() -> None:
    created_at = NOW.replace(microsecond=0) - timedelta(minutes=3)
    listing = Listing([Happened(created_at, created_at)], most=100)
    listing.walk_to_the_end(NOW, [])
    first = listing.requests
    listing.walk_to_the_end(NOW + timedelta(minutes=10), [])
    assert listing.requests - first == 1
