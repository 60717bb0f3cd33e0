"""What every service may tell about its own work."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from libs.common.events.event import Event


class EventSetAside(Event):
    """A service could not work an event and set it aside, with its cause."""

    type: ClassVar[str] = "any.event_set_aside.v1"
    identity: ClassVar[tuple[str, ...]] = ("service", "set_aside_event_id", "attempts")

    service: str
    set_aside_event_id: UUID
    set_aside_type: str
    set_aside_key: str
    cause: str
    attempts: int
    set_aside_at: datetime

    @property
    def key(self) -> str:
        return self.set_aside_key
