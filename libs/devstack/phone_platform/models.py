"""What the stand-in knows and takes, typed for both sides of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Manner: TypeAlias = Literal["slow", "down", "lost", "no", "nonsense", "taken"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Lines(_Value):
    """A company's lines as they are now; `order` is that of the last webhook that was done."""

    company_id: str
    state: str = "normal"
    numbers: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    reachable: tuple[str, ...] = ()
    why: str = ""
    order: int = 0
    changed_at: datetime
    done: tuple[str, ...] = Field(default=(), description="webhook ids, oldest first; each was done once")


class Received(_Value):
    """A webhook as it came. `trouble`: why it is not believed; None: its signature is good."""

    webhook_id: str
    at: datetime
    type: str
    company_id: str
    trouble: str | None
    answer: str


class Trouble(_Value):
    """What the platform does, instead of the ordinary, with the next `times` webhooks (0: until it is reset).

    slow: waits, then as usual · down: answers `status` and does nothing · lost: does it, and drops the
    connection · no: does nothing and says so · nonsense: answers what nobody understands · taken: 202, done
    at a later try. Each waits `delay_seconds` first; `company_id` limits it to one company.
    """

    manner: Manner
    times: int = Field(default=1, ge=0)
    status: int = Field(default=503, ge=400, le=599)
    retry_after_seconds: int | None = None
    delay_seconds: float = Field(default=0.0, ge=0, le=600)
    company_id: str | None = None


class Books(_Value):
    """All that it knows: companies by their last change, webhooks newest first."""

    lines: tuple[Lines, ...]
    received: tuple[Received, ...]
