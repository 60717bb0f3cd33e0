"""A circuit breaker: while another server fails again and again, little is begun, and one tries whether it is
back."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Closed: as much may be begun as is wanted. Open, after so many failures in a row: nothing, but for one
    try each `rest_seconds`; the first success of something begun since closes it.

    What was begun before it opened or closed says nothing about now, so outcomes come with their beginning.
    """

    def __init__(
        self, *, failures: int, rest_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most_failures = failures
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._failures = 0
        self._changed_at = clock()
        self._rests_until = self._changed_at
        self._try_rests_until: float | None = None
        self.is_open = False

    def now(self) -> float:
        return self._clock()

    def room(self, wanted: int) -> int:
        """How much of what is wanted may be begun now. Asking while open takes the one try."""
        if not self.is_open:
            return wanted
        if self._clock() < self._rests_until:
            return 0
        self._rest(self._rest_seconds)
        self._try_rests_until = self._rests_until
        return min(1, wanted)

    def give_back(self) -> None:
        """There was nothing to begin: the one try is for whoever asks next."""
        if self.is_open and self._rests_until == self._try_rests_until:
            self._rests_until = self._clock()

    def note_success(self, began_at: float) -> None:
        if began_at < self._changed_at:
            return
        self._failures = 0
        if self.is_open:
            self.is_open, self._changed_at = False, self._clock()

    def note_failure(self, began_at: float) -> None:
        if began_at < self._changed_at:
            return
        self._failures += 1
        if self.is_open:
            self._rest(self._rest_seconds)
        elif self._failures >= self._most_failures:
            self.open_for(self._rest_seconds)

    def open_for(self, seconds: float) -> None:
        """Nothing is begun for so long: the other side asked for it, or failed too often."""
        if not self.is_open:
            self.is_open, self._changed_at = True, self._clock()
        self._rest(seconds)

    def _rest(self, seconds: float) -> None:
        self._rests_until = max(self._rests_until, self._clock() + seconds)
