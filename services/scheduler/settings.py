"""What the scheduler must be told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from libs.common.errors import MisconfiguredError
from libs.common.settings import CommonSettings, Seconds, refuse_weak_secret
from libs.common.signup_steps import SIGNUP_STEPS, SignupStep, steps_at
from services.scheduler.domain import (
    CHECK_CARDS,
    CHECK_SUBSCRIPTIONS,
    CHECK_UNPAID,
    RECONCILE_STRIPE,
    ROUTINES,
    SIGNUP_ROUTINE,
    Cron,
    Every,
    ReminderStage,
    Routine,
    Schedule,
    Step,
    parse,
    reminder_stages,
    signup_routine,
    with_schedules,
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
    signup_step_days: str = Field(
        default=",".join(str(step.offset.days) for step in SIGNUP_STEPS[1:]),
        description="days after registration at which its further steps are due, one each, comma-separated",
    )
    signup_step_too_late_hours: float = Field(
        default=72.0,
        gt=0,
        description="hours after they were due from which those are skipped (never two steps at once)",
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
    unpaid_reminder_days: str = Field(
        default="3,7",
        description="days after the first unpaid notice at which the next ones are due, comma-separated",
    )

    check_stripe_enterprise_subscription: bool = Field(
        default=False,
        description="compare every subscription with Stripe's on the 1st and the 15th, at midnight in Paris",
    )

    routine_schedules: dict[str, str] = Field(
        default_factory=dict,
        description='other times for routines, as JSON: {"check_unpaid": "30 8 * * *"}; cron expressions, in '
        "the time of Paris or with CRON_TZ=Zone before them, or `every 10 minutes`",
    )
    routine_ping_urls: dict[str, SecretStr] = Field(
        default_factory=dict,
        description='URLs to ping for each run, as healthchecks.io has them, as JSON: {"check_unpaid": "https://…"}',
    )

    @model_validator(mode="after")
    def _refuse_routines_that_cannot_be(self) -> Self:
        """A schedule that never fires, a zone or a routine that nobody knows, before anything starts."""
        try:
            known = {routine.name for routine in self.routines}
            unknown = sorted(set(self.routine_ping_urls) - known)
        except MisconfiguredError as error:
            raise ValueError(str(error)) from error
        if unknown:
            raise ValueError(
                f"ROUTINE_PING_URLS: there is no routine {unknown[0]!r}: {', '.join(sorted(known))}"
            )
        return self

    @field_validator("routine_ping_urls")
    @classmethod
    def _refuse_what_is_no_url(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, url in value.items():
            parts = urlsplit(url.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.netloc:
                raise ValueError(f"ROUTINE_PING_URLS: the URL of {name} must begin with https://")
        return value

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

    @model_validator(mode="after")
    def _refuse_steps_out_of_order(self) -> SchedulerSettings:
        try:
            self._steps_at_their_times()
        except ValueError as error:
            raise ValueError(
                f"SIGNUP_STEP_DAYS and SIGNUP_FIRST_STEP_HOURS do not go together: {error}"
            ) from error
        return self

    @property
    def signup_steps(self) -> tuple[Step, ...]:
        first, *others = self._steps_at_their_times()
        later = timedelta(hours=self.signup_step_too_late_hours)
        too_late = [timedelta(hours=self.signup_first_step_too_late_hours), *(later for _ in others)]
        return signup_routine((first, *others), too_late)

    def _steps_at_their_times(self) -> tuple[SignupStep, ...]:
        """Raises ValueError for days that are none, too few or too many, or not in order."""
        days = [timedelta(days=day) for day in _days(self.signup_step_days)]
        return steps_at([timedelta(hours=self.signup_first_step_hours), *days])

    @property
    def routines(self) -> tuple[Routine, ...]:
        """The table, as the environment changes it. Raises MisconfiguredError, naming the setting."""
        schedules: dict[str, Schedule] = {
            SIGNUP_ROUTINE: Every(timedelta(seconds=self.signup_scan_seconds)),
            RECONCILE_STRIPE: Every(timedelta(seconds=self.reconcile_stripe_seconds)),
            CHECK_UNPAID: Cron(f"0 {self.unpaid_check_hour} * * *"),
            CHECK_CARDS: Cron(f"0 {self.card_check_hour} * * *"),
        }
        for name, words in self.routine_schedules.items():
            try:
                schedules[name] = parse(words)
            except MisconfiguredError as error:
                raise MisconfiguredError(f"ROUTINE_SCHEDULES, {name}: {error}") from error
        try:
            routines = with_schedules(ROUTINES, schedules)
        except MisconfiguredError as error:
            raise MisconfiguredError(f"ROUTINE_SCHEDULES: {error}") from error
        is_on = {CHECK_SUBSCRIPTIONS: self.check_stripe_enterprise_subscription}
        return tuple(replace(each, is_on=is_on.get(each.name, each.is_on)) for each in routines)

    @property
    def reminder_stages(self) -> tuple[ReminderStage, ...]:
        return reminder_stages(_days(self.unpaid_reminder_days))


def _days(text: str) -> list[int]:
    return [int(word) for word in text.split(",") if word.strip()]
