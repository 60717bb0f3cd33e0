"""What will be told: a forecast's lines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

FIRST_ID = UUID(int=0)

Place = tuple[datetime, UUID, str]
"""Where a page of a forecast ended: `due_at`, `company_id` and `step` of its last line."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """What is asked of a forecast: lines that are due until `until` and not told yet, in the order of their
    places, after a place, at most so many; of one company, or of all."""

    now: datetime
    until: datetime
    limit: int
    company_id: UUID | None = None
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class Coming:
    """A fact that will be told unless something happens before: to whom, when it is due, and why (French)."""

    routine: str
    step: str
    company_id: UUID
    fact: str
    due_at: datetime
    why: str
    name: str | None = None
    email: str | None = None
    expires_at: datetime | None = None

    @property
    def place(self) -> Place:
        return self.due_at, self.company_id, self.step
