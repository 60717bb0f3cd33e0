"""The bad days that a test can order from the catcher."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from libs.devstack.mail_catcher.models import Answer, Moment


@dataclass
class _Ordered:
    answer: Answer
    left: int


class Simulation:
    """Ordered answers, first come, first served at each moment of a mail."""

    def __init__(self) -> None:
        self._ordered: list[_Ordered] = []

    def order(self, answer: Answer) -> None:
        self._ordered.append(_Ordered(answer, answer.times))

    def reset(self) -> None:
        self._ordered.clear()

    def waiting(self) -> list[Answer]:
        return [each.answer.model_copy(update={"times": each.left}) for each in self._ordered]

    def take(self, at: Moment, recipients: Collection[str] = ()) -> Answer | None:
        """The answer for this moment, counted down; None for an ordinary one."""
        for each in self._ordered:
            if each.answer.at == at and each.answer.recipient in (None, *recipients):
                self._count_down(each)
                return each.answer
        return None

    def _count_down(self, each: _Ordered) -> None:
        if each.answer.times == 0:
            return
        each.left -= 1
        if each.left == 0:
            self._ordered.remove(each)
