"""The policy file: what it says, and that a mistake in it is named with its line and what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import MisconfiguredError
from services.billing.domain import Does, PolicyError, read_policy
from services.billing.domain.policy import Reaction, forbidden_why, next_morning
from services.billing.settings import SHIPPED, BillingSettings, load_policy

PARIS = ZoneInfo("Europe/Paris")
FILE = max(SHIPPED.glob("*.toml"))
TEXT = FILE.read_text(encoding="utf-8")
POLICY = load_policy(None)


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), start=1) if part in line)


def test_a_shipped_policy_is_named_by_its_version() -> None:
    for file in SHIPPED.glob("*.toml"):
        assert load_policy(file).version == file.stem


def test_decline_codes_are_sorted() -> None:
    declines = POLICY.declines
    assert declines.reaction("lost_card") is Reaction.STOP
    assert declines.reaction("authentication_required") is Reaction.ASK_THE_CUSTOMER
    assert declines.reaction("insufficient_funds") is Reaction.TRY_AGAIN
    assert declines.reaction("a_code_of_next_year") is Reaction.TRY_AGAIN
    assert declines.reaction(None) is Reaction.TRY_AGAIN


@pytest.mark.parametrize(
    ("unpaid", "days", "wanted"),
    [(1, 0, Does.WARN), (1, 13, Does.WARN), (1, 14, Does.RESTRICT), (1, 20, Does.RESTRICT), (1, 21, Does.CUT),
     (2, 15, Does.RESTRICT), (3, 14, Does.RESTRICT), (3, 15, Does.CUT), (9, 400, Does.CUT)],
)  # fmt: skip
def test_stages_rise_with_age_and_with_the_number_of_unpaid_invoices(
    unpaid: int, days: int, wanted: Does
) -> None:
    assert POLICY.wanted(unpaid, timedelta(days=days)) is wanted


MISTAKES: dict[str, tuple[str, str, str, str]] = {
    # replaced, by, the line is that of, and it says
    "no TOML": ("days = 14", "days = = 14", "days = = 14", "this is not TOML"),
    "a text left open": ('version = "2026-12"', 'version = "2026-12', "version =", "this is not TOML"),
    "a key twice": ("days = 14", "days = 14\ndays = 15", "days = 15", "this is not TOML"),
    "an unknown key": ("cooling_days = 3", "cooling_day = 3", "cooling_day = 3", "did you mean cooling_days"),
    "an unknown table": ("[notice]", "[notise]", "[notise]", "did you mean notice?"),
    "a missing key": ("hours_before = 48", "", "[notice]", "notice.hours_before is missing; write a whole"),
    "a missing flag": ("weekends = true", "", "[forbidden]", "forbidden.weekends is missing; write true"),
    "a text for a number": ("days = 14", 'days = "14"', 'days = "14"', "write a whole number from 1 to 365"),
    "a flag for a number": ("days = 14", "days = true", "days = true", "write a whole number"),
    "a number for a flag": ("weekends = true", "weekends = 1", "weekends = 1", "write true or false"),
    "out of range": ("friday_from_hour = 12", "friday_from_hour = 25", "friday_from_hour", "from 0 to 24"),
    "an empty version": ('version = "2026-12"', 'version = " "', "version =", "write a text in quotes"),
    "no list of codes": ('cooling = ["previously', 'cooling = [3, "previously', "cooling =", "write a list"),
    "a code in two lists": (
        '    "do_not_honor",', '    "do_not_honor",\n    "lost_card",  # again', "# again", "keep it in one"),
    "no such zone": ("Europe/Paris", "Europe/Pariss", "zone =", "there is no time zone 'Europe/Pariss'"),
    "no such stage": ('does = "restrict"', 'does = "shout"', 'does = "shout"', "write one of warn,"),
    "an unknown key in a stage": ("after_days = 21", "after_day = 21", "after_day = 21", "after_day is not"),
    "a cut before the deadline": ("after_days = 15", "after_days = 9", "after_days = 9", "write 14 or more"),
    "nobody warned at once": ("after_days = 0", "after_days = 1", "[[stages]]", "nobody is warned at once"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_file_line_and_what_to_do(name: str) -> None:
    old, new, place, says = MISTAKES[name]
    assert old in TEXT
    wrong = TEXT.replace(old, new, 1)
    with pytest.raises(PolicyError) as caught:
        read_policy(wrong, "policies/new.toml")
    told = [line for line in str(caught.value).splitlines() if says in line]
    assert told, str(caught.value)
    assert told[0].startswith(f"policies/new.toml:{line_of(wrong, place)}: "), told[0]


def test_every_mistake_is_named_at_once_in_the_order_of_lines() -> None:
    wrong = TEXT.replace("cooling_days = 3", "cooling_days = -3").replace("weekends = true", "weekends = 0")
    with pytest.raises(PolicyError) as caught:
        read_policy(wrong, "p.toml")
    first, second = str(caught.value).splitlines()
    assert "cooling_days" in first
    assert "weekends" in second


def test_no_stages_at_all_is_a_mistake() -> None:
    with pytest.raises(PolicyError, match="there are no stages"):
        read_policy(TEXT[: TEXT.index("[[stages]]")], "p.toml")


@given(st.text(max_size=200) | st.sampled_from(TEXT.splitlines()))
def test_no_text_at_all_does_worse_than_a_policy_error(text: str) -> None:
    with pytest.raises(PolicyError):
        read_policy(text, "p.toml")


@given(st.integers(0, len(TEXT)), st.integers(1, 40))
def test_a_policy_with_a_hole_in_it_is_read_or_refused(start: int, length: int) -> None:
    try:
        read_policy(TEXT[:start] + TEXT[start + length :], "p.toml")
    except PolicyError as error:
        assert all(line.startswith("p.toml:") for line in str(error).splitlines())  # noqa: PT017


def test_a_service_with_a_wrong_policy_does_not_start(tmp_path: Path) -> None:
    from libs.common.settings import load

    file = tmp_path / "new.toml"
    file.write_text(TEXT.replace("days = 14", "days = 0"))
    values = {"app_env": "test", "app_secret": "x" * 16, "kafka_bootstrap_servers": "localhost:1",
              "stripe_sk": "sk_test_1", "stripe_webhook_secrets": "whsec_1"}  # fmt: skip
    with pytest.raises(MisconfiguredError) as caught:
        load(BillingSettings, **values, dunning_policy_file=file)
    assert f"{file}:{line_of(file.read_text(), 'days = 0')}: deadline.days is 0" in str(caught.value)
    with pytest.raises(MisconfiguredError, match="cannot be read"):
        load(BillingSettings, **values, dunning_policy_file=tmp_path / "nowhere.toml")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


@pytest.mark.parametrize(
    ("moment", "why"),
    [
        ("2026-11-27 11:59", None),
        ("2026-11-27 12:00", "friday_afternoon"),
        ("2026-11-28 09:00", "weekend"),
        ("2026-11-29 23:59", "weekend"),
        ("2026-11-30 00:00", None),
        ("2026-12-24 09:00", "eve_of_public_holiday"),
        ("2026-12-25 09:00", "public_holiday"),
        ("2026-05-14 09:00", "public_holiday"),  # Ascension, a Thursday
        ("2026-05-13 09:00", "eve_of_public_holiday"),
        ("2026-05-15 09:00", None),
        ("2027-03-29 09:00", "public_holiday"),  # Easter Monday
    ],
)
def test_moments_at_which_nothing_is_cut(moment: str, why: str | None) -> None:
    assert forbidden_why(POLICY, at(moment)) == why
    assert forbidden_why(POLICY, at(moment).astimezone(UTC)) == why


@given(
    st.integers(0, 5 * 365 * 24 * 60).map(lambda minutes: at("2025-01-01 00:00") + timedelta(minutes=minutes))
)
def test_the_next_morning_is_a_working_one_on_which_it_may_be_done(after: datetime) -> None:
    morning = next_morning(POLICY, after)
    assert after <= morning <= after + timedelta(days=7)
    assert morning.astimezone(PARIS).hour == POLICY.working_morning_hour
    assert forbidden_why(POLICY, morning) is None
