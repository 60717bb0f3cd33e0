"""How fast messages leave this process: nothing is claimed before there is room for it."""

from __future__ import annotations

import asyncio

from aiolimiter import AsyncLimiter

# What may leave at once; the rest of a second's share follows evenly.
BURST_SECONDS = 0.1
LONGEST_REST_SECONDS = 0.5


class Pace:
    """At most `per_second` messages, evenly; None: as fast as can be. One claimer uses it."""

    def __init__(self, per_second: float | None) -> None:
        self._limiter: AsyncLimiter | None = None
        if per_second is not None:
            burst = max(1.0, per_second * BURST_SECONDS)
            self._limiter = AsyncLimiter(burst, burst / per_second)

    @property
    def is_set(self) -> bool:
        return self._limiter is not None

    async def room(self, wanted: int) -> int:
        """How many of `wanted` may leave now. 0: after a rest there was no room yet, look again."""
        if (limiter := self._limiter) is None:
            return wanted
        # Several at a time, where the pace has several to give: a claim of one costs as much as one of eight.
        together = min(wanted, max(1, int(limiter.max_rate)))
        if not limiter.has_capacity(together):
            rest_seconds = together * limiter.time_period / limiter.max_rate
            await asyncio.sleep(min(rest_seconds, LONGEST_REST_SECONDS))
        return next((count for count in range(wanted, 0, -1) if limiter.has_capacity(count)), 0)

    async def take(self, count: int) -> None:
        """What leaves now, of the room that was found."""
        if self._limiter is not None and count:
            await self._limiter.acquire(count)
