"""When something may be done to a company's lines: never before people cannot help themselves."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from libs.common.french_days import (
    is_eve_of_public_holiday,
    is_public_holiday,
    is_weekend,
    is_working_day,
)
from services.billing.domain.policy.values import Policy

_FRIDAY = 4


def forbidden_why(policy: Policy, moment: datetime) -> str | None:
    """Why nothing is restricted or cut at this moment; None when it may be."""
    local = moment.astimezone(policy.zone)
    day, rules = local.date(), policy.forbidden
    if rules.weekends and is_weekend(day):
        return "weekend"
    if rules.public_holidays and is_public_holiday(day):
        return "public_holiday"
    if rules.eves_of_public_holidays and is_eve_of_public_holiday(day):
        return "eve_of_public_holiday"
    if day.weekday() == _FRIDAY and local.hour >= rules.friday_from_hour:
        return "friday_afternoon"
    return None


def next_morning(policy: Policy, after: datetime) -> datetime:
    """The first working morning at or after a moment on which something may be done."""
    day = after.astimezone(policy.zone).date()
    while True:
        morning = _morning(policy, day)
        if morning >= after and is_working_day(day) and forbidden_why(policy, morning) is None:
            return morning
        day += timedelta(days=1)


def _morning(policy: Policy, day: date) -> datetime:
    return datetime.combine(day, time(policy.working_morning_hour), policy.zone)
