"""French working days and public holidays, by the calendar of Paris."""

from __future__ import annotations

from datetime import date, timedelta

import holidays

_SATURDAY = 5
_FRENCH = holidays.country_holidays("FR")


def is_public_holiday(day: date) -> bool:
    return day in _FRENCH


def is_eve_of_public_holiday(day: date) -> bool:
    return is_public_holiday(day + timedelta(days=1))


def is_weekend(day: date) -> bool:
    return day.weekday() >= _SATURDAY


def is_working_day(day: date) -> bool:
    """Monday to Friday, public holidays left out."""
    return not is_weekend(day) and not is_public_holiday(day)
