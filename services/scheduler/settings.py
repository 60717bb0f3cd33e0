"""What the scheduler must be told."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, SecretStr, field_validator

from libs.common.settings import CommonSettings, Seconds, refuse_weak_secret
from services.scheduler.domain import (
    SIGNUP_FIRST_STEP,
    SIGNUP_ROUTINE,
    ReminderStage,
    Step,
    reminder_stages,
)


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
    unpaid_check_hour: int = Field(
        default=9,
        ge=0,
        le=23,
        description="hour of Paris, on working days, to look at unpaid invoices",
    )
    card_check_hour: int = Field(
        default=9, ge=0, le=23, description="hour of Paris, every day, to look whose card expires soon"
    )
    unpaid_check_seconds: Seconds = Field(
        default=60.0, description="how often the scheduler looks whether that hour has come"
    )
    unpaid_reminder_days: str = Field(
        default="3,7",
        description="days after the first unpaid notice at which the next ones are due, comma-separated",
    )

    check_stripe_enterprise_subscription: bool = Field(
        default=False,
        description="compare every subscription with Stripe's on the 1st and the 15th, at midnight in Paris",
    )

    @field_validator("unpaid_reminder_days")
    @classmethod
    def _refuse_days_that_do_not_rise(cls, value: str) -> str:
        try:
            days = _days(value)
        except ValueError as error:
            raise ValueError("UNPAID_REMINDER_DAYS must be whole numbers, such as 3,7") from error
        if any(day < 1 for day in days) or sorted(set(days)) != days:
            raise ValueError("UNPAID_REMINDER_DAYS must be at least 1 and rise, such as 3,7")
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

    @property
    def reminder_stages(self) -> tuple[ReminderStage, ...]:
        return reminder_stages(_days(self.unpaid_reminder_days))


def _days(text: str) -> list[int]:
    return [int(word) for word in text.split(",") if word.strip()]
