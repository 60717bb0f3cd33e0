"""What the clock tells."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from libs.common.events.event import CompanyEvent


class SignupStepDue(CompanyEvent):
    """A step of the sign-up routine is due for a company that has not subscribed."""

    type: ClassVar[str] = "scheduler.signup_step_due.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "step")

    step: str
    due_at: datetime
    expires_at: datetime
    name: str
    email: str
