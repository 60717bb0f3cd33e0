"""What a batch of housekeeping did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows were deleted, and after which place to go on; None: nothing that is older follows."""

    deleted: int
    place: tuple[Any, ...] | None
