"""The bad days, and the fates, that a test or a button can order."""

from __future__ import annotations

from dataclasses import dataclass

from libs.devstack.sms_provider.models import Fate, Trouble


@dataclass
class _Ordered:
    trouble: Trouble
    left: int


class Simulation:
    """Ordered troubles, first come, first served; one fate for all SMS until another is ordered."""

    def __init__(self) -> None:
        self._ordered: list[_Ordered] = []
        self.fate = Fate()

    def order(self, trouble: Trouble) -> None:
        self._ordered.append(_Ordered(trouble, trouble.times))

    def reset(self) -> None:
        self._ordered.clear()
        self.fate = Fate()

    def waiting(self) -> list[Trouble]:
        return [each.trouble.model_copy(update={"times": each.left}) for each in self._ordered]

    def outage(self) -> Trouble | None:
        """What keeps it down until it is reset: then look-ups fail too."""
        lasting = (each.trouble for each in self._ordered if not each.trouble.times)
        return next((trouble for trouble in lasting if trouble.manner == "down"), None)

    def take(self, recipient: str) -> Trouble | None:
        """The trouble for this SMS, counted down; None for an ordinary day."""
        for each in self._ordered:
            if each.trouble.recipient in (None, recipient):
                each.left -= 1 if each.trouble.times else 0
                if each.trouble.times and each.left == 0:
                    self._ordered.remove(each)
                return each.trouble
        return None
