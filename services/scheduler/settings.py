"""What the scheduler must be told."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, SecretStr, field_validator

from libs.common.settings import CommonSettings, Seconds, check_database_url, refuse_weak_secret
from services.scheduler.domain import SIGNUP_FIRST_STEP, SIGNUP_ROUTINE, Step


class SchedulerSettings(CommonSettings):
    """The scheduler's own names, beside the common ones."""

    scheduler_database_url: SecretStr | None = Field(
        default=None, description="the scheduler's own role's URL; none: made from DATABASE_URL"
    )
    scheduler_port: int = Field(
        default=8003, ge=1, le=65535, description="port of the scheduler's internal door"
    )
    interne_apikey: SecretStr | None = Field(
        default=None,
        description="at least 16 characters; opens the internal doors (X-Api-Key). None: they stay closed",
    )
    signup_first_step_hours: float = Field(
        default=2.0,
        ge=0,
        description="hours after registration at which the sign-up routine's first step is due",
    )
    signup_first_step_too_late_hours: float = Field(
        default=48.0, gt=0, description="hours after it was due from which that step is skipped, not told"
    )
    signup_scan_seconds: Seconds = Field(
        default=300.0, description="how often the scheduler looks for sign-up steps that are due"
    )

    reconcile_stripe_seconds: Seconds = Field(
        default=600.0, description="how often Stripe is asked which of its events were missed"
    )

    check_stripe_enterprise_subscription: bool = Field(
        default=False,
        description="compare every subscription with Stripe's on the 1st and the 15th, at midnight in Paris",
    )

    @field_validator("scheduler_database_url")
    @classmethod
    def _refuse_other_databases(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_database_url("SCHEDULER_DATABASE_URL", value)
        return value

    @field_validator("interne_apikey")
    @classmethod
    def _refuse_a_weak_key(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else refuse_weak_secret("INTERNE_APIKEY", value)

    @property
    def signup_first_step(self) -> Step:
        return Step(
            routine=SIGNUP_ROUTINE,
            name=SIGNUP_FIRST_STEP,
            position=0,
            offset=timedelta(hours=self.signup_first_step_hours),
            too_late=timedelta(hours=self.signup_first_step_too_late_hours),
        )
