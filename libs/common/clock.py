"""The clock that is handed in: nothing in a service asks the machine for the time by itself."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Answers the present moment, aware, in UTC."""


def utc_now() -> datetime:
    return datetime.now(UTC)
