"""How Stripe writes ids and moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

JsonObject = dict[str, Any]


def id_of(value: Any) -> str | None:
    """An id, whether the field holds it or the expanded object."""
    if isinstance(value, dict):
        value = value.get("id")
    return value or None


def moment(value: Any) -> datetime:
    return datetime.fromtimestamp(value, UTC)


def maybe_moment(value: Any) -> datetime | None:
    return None if value is None else moment(value)
