"""docker-compose.yml and the Dockerfile, as far as they can be judged without an engine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml  # type: ignore[import-untyped]  # comes with pre-commit, its stubs do not

from libs.common.settings import CommonSettings, load
from libs.devstack.mail_catcher.__main__ import _options
from libs.devstack.stripe_simulator.__main__ import _parser
from services.cli import relance
from services.env_example import SECTIONS
from services.run import SERVICES
from tests.servers.docker import KAFKA_IMAGE, POSTGRES_IMAGE

ROOT = Path(__file__).parents[2]
REFERENCE = re.compile(r"\$\{(\w+)(?::[?-]([^}]*))?\}")
IN_DOT_ENV = {
    "APP_SECRET": "an-app-secret-of-this-test",
    "INTERNE_APIKEY": "an-internal-key-of-this-test",
    "POSTGRES_PASSWORD": "a-password-of-this-test",
    "STRIPE_WEBHOOK_SECRETS": "whsec_of_this_test",
}
"""What the top of docker-compose.yml says to put into `.env`."""


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings_class in SECTIONS.values():
        for name in settings_class.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)


def filled_in(environment: Mapping[str, object]) -> dict[str, str]:
    """As compose would: `${NAME:?…}` from `.env`, `${NAME:-default}` with its default."""

    def value_of(match: re.Match[str]) -> str:
        return IN_DOT_ENV.get(match[1]) or match[2]

    return {name: REFERENCE.sub(value_of, str(value)) for name, value in environment.items()}


def settings_from(environment: Mapping[str, str], settings_class: type[CommonSettings]) -> CommonSettings:
    """Raises MisconfiguredError, as the service itself would."""
    known = {name.upper(): name for name in settings_class.model_fields}
    assert set(environment) <= set(known), f"not settings of {settings_class.__name__}"
    return load(settings_class, **{known[name]: value for name, value in environment.items()})


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_told_what_it_needs_and_nothing_else(parts: dict[str, Any], service: str) -> None:
    part = parts[service]
    settings = settings_from(filled_in(part["environment"]), SECTIONS[service])
    assert part["command"] == ["run", service]
    assert settings.host == "0.0.0.0"
    port = getattr(settings, f"{service}_port")
    assert part["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f":{port}/readyz" in part["healthcheck"]["test"][-1]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_enters_the_database_as_its_own_role_only(parts: dict[str, Any], service: str) -> None:
    given = filled_in(parts[service]["environment"])
    assert IN_DOT_ENV["POSTGRES_PASSWORD"] not in "".join(given.values())
    url = urlsplit(settings_from(given, SECTIONS[service]).service_database_url(service))
    assert (url.username, url.hostname, url.port) == (f"relance_{service}", "postgres", 5432)


def test_the_topics_and_the_schemas_are_there_before_a_service_starts(parts: dict[str, Any]) -> None:
    prepare = parts["prepare"]
    owner = settings_from(filled_in(prepare["environment"]), CommonSettings).database_url
    assert owner is not None
    assert urlsplit(owner.get_secret_value()).username == parts["postgres"]["environment"]["POSTGRES_USER"]
    assert {words.split()[1] for words in prepare["command"][0].split(" && ")} <= set(relance.commands)
    for service in SERVICES:
        assert parts[service]["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}
    for server in prepare["depends_on"]:
        assert "healthcheck" in parts[server]


def test_no_secret_is_written_in_it_and_every_needed_one_is_asked_for() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    asked_for = {name for name, rest in re.findall(r"\$\{(\w+)(:\?)?", text) if rest}
    assert asked_for == set(IN_DOT_ENV)
    assert all(name in text.partition("\nname:")[0] for name in IN_DOT_ENV), "the top says how to make them"


def test_nothing_is_published_beyond_this_machine(parts: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for part in parts.values() for port in part.get("ports", ()))


def test_kafka_and_postgresql_are_those_that_the_tests_run_on(parts: dict[str, Any]) -> None:
    assert parts["kafka"]["image"] == KAFKA_IMAGE
    assert parts["postgres"]["image"] == POSTGRES_IMAGE


def test_the_stand_ins_are_started_with_options_that_they_have(
    parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["mail_catcher", *parts["mails"]["command"]])
    mails = _options()
    dsn = urlsplit(parts["notifications"]["environment"]["MAILER_DSN"])
    assert (dsn.hostname, dsn.port) == ("mails", mails.smtp_port)
    stripe = _parser().parse_args(parts["stripe"]["command"])
    assert parts["billing"]["environment"]["STRIPE_API_BASE"] == f"http://stripe:{stripe.port}"
    assert stripe.webhook_url == ["http://billing:8001/webhooks/stripe"]


def test_the_image_is_made_from_the_hashed_lock_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "RUN pip install --require-hashes -r requirements.lock" in lines
    assert [line for line in lines if line.startswith("USER ")] == ["USER relance"]
    copied = {line.split()[1] for line in lines if line.startswith("COPY ")}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_in
