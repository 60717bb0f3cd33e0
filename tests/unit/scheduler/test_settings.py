"""What the scheduler refuses to start with."""

from __future__ import annotations

from datetime import timedelta

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
        ({"signup_first_step_hours": -1}, "SIGNUP_FIRST_STEP_HOURS"),
        ({"routine_schedules": {"check_unpaid": "0 0 30 2 *"}}, "ROUTINE_SCHEDULES, check_unpaid: .*30 2"),
        (
            {"routine_schedules": {"check_unpaid": "CRON_TZ=Mars/Olympus 0 9 * * *"}},
            "ROUTINE_SCHEDULES, check_unpaid: there is no time zone 'Mars/Olympus'",
        ),
        (
            {"routine_schedules": {"check_unpaid": "0 9 * * 0"}},
            "ROUTINE_SCHEDULES: routine check_unpaid: .* never fires on a working day",
        ),
        ({"routine_schedules": {"chek": "0 9 * * *"}}, "ROUTINE_SCHEDULES: there is no routine 'chek'"),
        (
            {"routine_ping_urls": {"check_unpaid": "hc-ping.com/x"}},
            "ROUTINE_PING_URLS: the URL of check_unpaid",
        ),
        ({"routine_ping_urls": {"chek": "https://hc-ping.com/x"}}, "ROUTINE_PING_URLS: there is no routine"),
        ({"signup_step_too_late_hours": 0}, "SIGNUP_STEP_TOO_LATE_HOURS"),
        ({"signup_step_days": "2,7"}, "SIGNUP_STEP_DAYS"),
        ({"signup_step_days": "2,7,14,21,30,45,45"}, "SIGNUP_STEP_DAYS"),
        ({"signup_step_days": "2,7,14,21,30,45,x"}, "SIGNUP_STEP_DAYS"),
        ({"signup_first_step_hours": 49}, "SIGNUP_FIRST_STEP_HOURS"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(values: dict[str, object], named: str) -> None:
    with pytest.raises(MisconfiguredError, match=named):
        load(SchedulerSettings, **COMMON, **values)


def test_the_environment_gives_a_routine_another_time() -> None:
    settings = load(SchedulerSettings, **COMMON, routine_schedules={"reconcile_stripe": "every 1 hours"})
    texts = {routine.name: routine.schedule.text() for routine in settings.routines}
    assert texts["reconcile_stripe"] == "every 1 hours"
    assert (texts["check_unpaid"], texts["signup_routine"]) == ("0 9 * * *", "every 5 minutes")


def test_the_steps_are_due_when_the_old_ones_were_unless_told_otherwise() -> None:
    steps = load(SchedulerSettings, **COMMON).signup_steps
    days = [0, 2, 7, 14, 21, 30, 45, 60]
    assert [step.offset.days for step in steps] == days
    assert steps[0].offset == timedelta(hours=2)
    assert steps[0].too_late == timedelta(hours=46), "48 hours, but for the step that comes before they end"
    assert {step.too_late for step in steps[1:]} == {timedelta(hours=72)}
    assert [step.name for step in steps[:4]] == [
        "signup_first_step", "routineEmail2Days", "routineEmail7Days", "routineEmail14Days",
    ]  # fmt: skip
    earlier = {"signup_first_step_hours": 0.5, "signup_step_days": "1,2,3,4,5,6,7"}
    changed = load(SchedulerSettings, **COMMON, **earlier).signup_steps
    assert changed[0].offset == timedelta(minutes=30)
    assert [step.offset.days for step in changed[1:]] == [1, 2, 3, 4, 5, 6, 7]
    assert changed[1].name == "routineEmail2Days", "a name stays, whenever it is due"
