"""The admin API refuses to start with a door that anybody could open."""

from __future__ import annotations

import pytest

from libs.common.errors import MisconfiguredError
from libs.common.settings import load
from services.admin_api.settings import AdminApiSettings

COMMON = {"app_env": "test", "app_secret": "x" * 32, "kafka_bootstrap_servers": "127.0.0.1:9092"}


@pytest.mark.parametrize("key", [{}, {"interne_apikey": ""}, {"interne_apikey": "fifteen letters"}])
def test_without_a_strong_key_it_does_not_start(key: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTERNE_APIKEY", raising=False)
    with pytest.raises(MisconfiguredError, match="INTERNE_APIKEY"):
        load(AdminApiSettings, **COMMON, **key)


def test_another_database_than_postgresql_is_refused_by_name() -> None:
    with pytest.raises(MisconfiguredError, match="ADMIN_API_DATABASE_URL"):
        load(
            AdminApiSettings,
            **COMMON,
            interne_apikey="k" * 16,
            admin_api_database_url="mysql://u:p@localhost/relance",
        )
