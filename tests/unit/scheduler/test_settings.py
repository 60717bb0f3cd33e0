"""What the scheduler refuses to start with."""

from __future__ import annotations

import pytest

from libs.common.errors import MisconfiguredError
from libs.common.settings import load
from services.scheduler.settings import SchedulerSettings

COMMON = {"app_env": "test", "app_secret": "x" * 32, "kafka_bootstrap_servers": "127.0.0.1:9092"}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"scheduler_database_url": "mysql://u:p@localhost/relance"}, "SCHEDULER_DATABASE_URL"),
        ({"interne_apikey": "short"}, "INTERNE_APIKEY"),
        ({"interne_apikey": ""}, "INTERNE_APIKEY"),
        ({"signup_scan_seconds": 0}, "SIGNUP_SCAN_SECONDS"),
        ({"signup_first_step_too_late_hours": 0}, "SIGNUP_FIRST_STEP_TOO_LATE_HOURS"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(values: dict[str, object], named: str) -> None:
    with pytest.raises(MisconfiguredError, match=named):
        load(SchedulerSettings, **COMMON, **values)


def test_the_first_step_is_two_hours_after_registration_unless_told_otherwise() -> None:
    step = load(SchedulerSettings, **COMMON).signup_first_step
    assert (step.offset.total_seconds(), step.too_late.total_seconds()) == (2 * 3600, 48 * 3600)
    assert (
        load(SchedulerSettings, **COMMON, signup_first_step_hours=0.5).signup_first_step.offset.seconds
        == 1800
    )
