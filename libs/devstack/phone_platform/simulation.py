"""The bad days that a test, or a button, can order."""

from __future__ import annotations

from dataclasses import dataclass

from libs.devstack.phone_platform.models import Trouble


@dataclass
class _Ordered:
    trouble: Trouble
    left: int


class Simulation:
    """Ordered troubles, first come, first served."""

    def __init__(self) -> None:
        self._ordered: list[_Ordered] = []

    def order(self, trouble: Trouble) -> None:
        self._ordered.append(_Ordered(trouble, trouble.times))

    def reset(self) -> None:
        self._ordered.clear()

    def waiting(self) -> list[Trouble]:
        return [each.trouble.model_copy(update={"times": each.left}) for each in self._ordered]

    def take(self, company_id: str) -> Trouble | None:
        """The trouble for this webhook, counted down; None for an ordinary day."""
        for each in self._ordered:
            if each.trouble.company_id in (None, company_id):
                each.left -= 1 if each.trouble.times else 0
                if each.trouble.times and each.left == 0:
                    self._ordered.remove(each)
                return each.trouble
        return None
