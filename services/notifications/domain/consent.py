"""When a message may leave for a person who may be written to: hours, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from services.notifications.domain.deliveries import Category, Channel, Delivery, Why
from services.notifications.domain.hours import PARIS, Hours, midnight_of
from services.notifications.domain.kinds import KINDS

WEEK_DAYS = 7
_ALWAYS = Hours()


@dataclass(frozen=True)
class Consent:
    """Hours by category and channel (what is not there is always open), and how many marketing messages a
    company gets on one day, and on seven days in a row, of Paris."""

    hours: Mapping[tuple[Category, Channel], Hours] = field(default_factory=dict)
    most_a_day: int | None = None
    most_a_week: int | None = None

    def hours_of(self, category: Category, channel: str) -> Hours:
        return self.hours.get((category, Channel(channel)), _ALWAYS)

    def held(self, delivery: Delivery, sent_at: Sequence[datetime], now: datetime) -> Held | None:
        """Until when, and why; None: it may leave now. `sent_at`: of the company's other marketing."""
        category = KINDS[delivery.kind].category
        free_at = self._free_at(sent_at, now) if category is Category.MARKETING else now
        opening = self.hours_of(category, delivery.channel).next_opening(free_at)
        if free_at > now:
            return Held(opening, Why.TOO_OFTEN)
        return None if opening == now else Held(opening, Why.OUTSIDE_HOURS)

    def _free_at(self, sent_at: Sequence[datetime], now: datetime) -> datetime:
        today = now.astimezone(PARIS).date()
        day = first_free_day(
            [moment.astimezone(PARIS).date() for moment in sent_at],
            today,
            most_a_day=self.most_a_day,
            most_a_week=self.most_a_week,
        )
        return now if day == today else midnight_of(day)


@dataclass(frozen=True, slots=True)
class Held:
    """Why a delivery waits, and until when."""

    until: datetime
    why: Why


def first_free_day(
    days: Sequence[date], today: date, *, most_a_day: int | None, most_a_week: int | None
) -> date:
    """The first day, from today on, on which one more keeps within both; None is no limit."""
    on = Counter(days)
    day = today
    while True:
        of_the_week = sum(on[day - timedelta(days=back)] for back in range(WEEK_DAYS))
        too_many = most_a_day is not None and on[day] >= most_a_day
        if not too_many and (most_a_week is None or of_the_week < most_a_week):
            return day
        day += timedelta(days=1)


ANYTIME = Consent()
