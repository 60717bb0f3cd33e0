"""What the stand-in takes and keeps, typed for both sides of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Manner: TypeAlias = Literal["slow", "down", "lost", "silent", "refused", "nonsense"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class TakenSms(_Value):
    """An SMS as it was taken. `recipient` in bare digits, as smsmode writes it; `status` smsmode's word."""

    id: str
    reference: str
    recipient: str
    sender: str
    text: str
    has_stop: bool
    encoding: str
    parts: int
    taken_at: datetime
    status: str = "ENROUTE"
    detail: str = ""


class Report(_Value):
    """A callback that was posted: what it said, and what was answered (0: nobody was there)."""

    at: datetime
    sms_id: str
    word: str
    answer: int


class Trouble(_Value):
    """What it does, instead of the ordinary, with the next `times` sends (0: until it is reset).

    slow: waits, then as usual · down: answers `status` and takes nothing · lost: takes it, and drops the
    connection · silent: takes nothing and drops the connection · refused: 400 · nonsense: takes it and says
    what nobody understands. Each waits `delay_seconds` first; `recipient` (bare digits) limits it to one.
    """

    manner: Manner
    times: int = Field(default=1, ge=0)
    status: int = Field(default=503, ge=400, le=599)
    retry_after_seconds: int | None = None
    delay_seconds: float = Field(default=0.0, ge=0, le=600)
    recipient: str | None = None


class Fate(_Value):
    """What is reported of an SMS that was taken: `words` in this order, each `times` times, after the delay.

    Ordinary: ENROUTE, then DELIVERED. An empty list: nothing at all, ever.
    """

    words: tuple[str, ...] = ("ENROUTE", "DELIVERED")
    detail: str = ""
    times: int = Field(default=1, ge=1, le=10)
    delay_seconds: float = Field(default=0.0, ge=0, le=600)
    is_shuffled: bool = False


class Books(_Value):
    """All that it knows, newest first."""

    sms: tuple[TakenSms, ...]
    reports: tuple[Report, ...]
