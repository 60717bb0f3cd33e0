"""Settings: what is missing or wrong is refused at the start, under the name it has in the environment."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from libs.common.errors import MisconfiguredError
from libs.common.settings import CommonSettings, load

RIGHT = {
    "APP_ENV": "test",
    "APP_SECRET": "0123456789abcdef-0123",
    "DATABASE_URL": "postgresql://owner:p%40ss@db.example:5433/relance?sslmode=require",
    "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CommonSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)


def refusal() -> str:
    with pytest.raises(MisconfiguredError) as refused:
        load(CommonSettings)
    return str(refused.value)


def test_what_is_right_is_read() -> None:
    assert load(CommonSettings).app_env == "test"


@pytest.mark.parametrize("name", ["APP_ENV", "APP_SECRET", "KAFKA_BOOTSTRAP_SERVERS"])
def test_what_is_missing_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    assert f"{name}: Field required" in refusal()


def test_everything_wrong_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "staging")
    monkeypatch.setenv("RETRY_ATTEMPTS", "0")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS")
    refused = refusal()
    for name in ("APP_ENV: ", "RETRY_ATTEMPTS: ", "KAFKA_BOOTSTRAP_SERVERS: ", "see .env.example"):
        assert name in refused


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", ""),
        ("POLL_SECONDS", "0"),
        ("POLL_SECONDS", "-1"),
        ("POLL_SECONDS", "soon"),
        ("LEASE_SECONDS", "0"),
        ("DATABASE_POOL_SIZE", "1"),
        ("INBOX_WORKERS", "0"),
        ("DATABASE_ROLE_PREFIX", 'x"; drop role y'),
        ("DATABASE_SINGLE_ROLE", "perhaps"),
        ("KAFKA_TOPIC_PARTITIONS", "0"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert f"{name}: " in refusal()


@pytest.mark.parametrize("secret", ["", " " * 40, "short", "x" * 15])
def test_a_weak_secret_is_refused_and_the_refusal_says_how_to_make_one(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_SECRET", secret)
    refused = refusal()
    assert "APP_SECRET must have at least 16 characters" in refused
    assert "openssl rand -hex 32" in refused


def test_the_old_database_is_refused_and_the_refusal_says_what_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://app:hidden-password@127.0.0.1:3306/app?serverVersion=8")
    refused = refusal()
    assert "DATABASE_URL begins with mysql://" in refused
    assert "postgresql://user:password@host:5432/database" in refused
    assert "hidden-password" not in refused


@pytest.mark.parametrize("url", ["", "localhost", "sqlite:///x.db"])
def test_what_is_not_postgresql_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert "DATABASE_URL begins with" in refusal()


def test_nothing_secret_is_shown() -> None:
    settings = load(CommonSettings)
    assert "0123456789abcdef" not in repr(settings)
    assert "p%40ss" not in repr(settings)


def test_a_service_gets_a_role_of_its_own_at_the_owners_address() -> None:
    settings = load(CommonSettings)
    parts = urlsplit(settings.service_database_url("billing"))
    assert (parts.username, parts.hostname, parts.port) == ("relance_billing", "db.example", 5433)
    assert (parts.path, parts.query) == ("/relance", "sslmode=require")
    assert parts.password == settings.role_password_of("billing")
    assert len({settings.role_password_of(name) for name in ("billing", "scheduler", "admin_api")}) == 3


def test_another_secret_makes_other_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load(CommonSettings).role_password_of("billing")
    assert before == load(CommonSettings).role_password_of("billing")
    monkeypatch.setenv("APP_SECRET", "another-secret-0123456789")
    assert load(CommonSettings).role_password_of("billing") != before


def test_where_the_owner_may_not_create_roles_its_own_url_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_SINGLE_ROLE", "true")
    assert load(CommonSettings).service_database_url("billing") == RIGHT["DATABASE_URL"]


def test_without_any_database_the_service_says_which_names_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(MisconfiguredError, match="set BILLING_DATABASE_URL or DATABASE_URL"):
        load(CommonSettings).service_database_url("billing")
