"""The sign-up routine: which mails whoever registered and did not subscribe is sent, and when.

Told by the scheduler, written by notifications, declared here once. Two titles and the first four times are
the old system's; the times are settings of the scheduler's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class SignupStep:
    """One mail of the routine. `name` is the fact's step, the mail's kind and its folder of templates; `code`
    and `label` are what the old system and its users call it. `offset` counts from the registration."""

    name: str
    code: str
    label: str
    offset: timedelta


def _after_days(days: int) -> SignupStep:
    return SignupStep(f"routineEmail{days}Days", f"ROUTINE_NOSUB_{days}J", f"+{days}J", timedelta(days=days))


SIGNUP_STEPS: tuple[SignupStep, ...] = (
    SignupStep("signup_first_step", "ROUTINE_NOSUB_2H", "+2H", timedelta(hours=2)),
    *(_after_days(days) for days in (2, 7, 14, 21, 30, 45, 60)),
)
"""In the order in which they are due."""

SIGNUP_STEPS_BY_NAME: Mapping[str, SignupStep] = {
    **{step.code: step for step in SIGNUP_STEPS},
    **{step.name: step for step in SIGNUP_STEPS},
}
"""By name, and by the old system's code."""


def steps_at(offsets: Sequence[timedelta]) -> tuple[SignupStep, ...]:
    """The same steps at other times, one each. Raises ValueError unless there are as many and they rise."""
    if len(offsets) != len(SIGNUP_STEPS):
        raise ValueError(f"the sign-up routine has {len(SIGNUP_STEPS)} steps, not {len(offsets)}")
    if any(after <= before for before, after in pairwise(offsets)):
        raise ValueError("each sign-up step must be due after the one before")
    pairs = zip(SIGNUP_STEPS, offsets, strict=True)
    return tuple(replace(step, offset=offset) for step, offset in pairs)
