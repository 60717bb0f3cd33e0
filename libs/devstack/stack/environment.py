"""Development's settings and secrets, and what of them each service is given. The environment always wins."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from libs.common.settings import CommonSettings, load

SERVICES = ("billing", "notifications", "scheduler", "admin_api")

# Short: the work of a killed process is taken up within 5 s, and a back-off is seen to pass.
DEVELOPMENT: Mapping[str, str] = {
    "APP_ENV": "dev",
    "POLL_SECONDS": "0.5",
    "LEASE_SECONDS": "4",
    "RETRY_FIRST_SECONDS": "0.2",
    "RETRY_LONGEST_SECONDS": "5",
    "SHUTDOWN_SECONDS": "5",
    "WATCHDOG_SECONDS": "10",
    "KAFKA_SESSION_SECONDS": "3",
    "KAFKA_REPLICATION_FACTOR": "1",
    "KAFKA_MIN_INSYNC_REPLICAS": "1",
    "MAIL_SENDER": "Relance <relance@relance.localhost>",
    "LOGIN_URL": "https://app.districall.com/login",
    "SMTP_TIMEOUT_SECONDS": "1.5",
    "SMS_TIMEOUT_SECONDS": "2",
    "SETTLE_AFTER_SECONDS": "5",
    "STRIPE_TIMEOUT_SECONDS": "3",
    "STRIPE_REQUESTS_PER_SECOND": "200",
    "PLATFORM_TIMEOUT_SECONDS": "2",
    "STRIPE_BREAKER_REST_SECONDS": "1",
    "STRIPE_RECONCILE_OVERLAP_SECONDS": "300",
    "STRIPE_RECONCILE_GRACE_SECONDS": "60",
    "RECONCILE_STRIPE_SECONDS": "60",
    "UNPAID_DIGEST_SECONDS": "1",
    "HOURS_MARKETING_MAIL": "always",
    "TEAM_EMAIL": "equipe@relance.localhost",
    "TEAM_DIGEST_SECONDS": "5",
    "SLACK_TIMEOUT_SECONDS": "2",
    "SIGNUP_SCAN_SECONDS": "5",
}

MADE_ONCE: Mapping[str, str] = {
    "APP_SECRET": "",
    "INTERNE_APIKEY": "",
    "STRIPE_SK": "sk_test_",
    "STRIPE_WEBHOOK_SECRETS": "whsec_",
    "PLATFORM_WEBHOOK_SECRET": "whsec_",
    "PLATFORM_API_KEY": "",
    "SMS_MODE_KEY": "",
    "SMSMODE_WEBHOOK_TOKEN": "",
    "BREVO_WEBHOOK_TOKEN": "",
    "TINYURL_TOKEN": "",
    "JWT_PASSPHRASE": "",
    "ADMIN_PASSWORD": "",
}
"""Secrets that a stack makes for itself, with what each begins with."""

ONLY_FOR: Mapping[str, str] = {
    "STRIPE_SK": "billing",
    "STRIPE_PK": "billing",
    "STRIPE_API_BASE": "billing",
    "STRIPE_WEBHOOK_SECRETS": "billing",
    "PLATFORM_WEBHOOK_URL": "billing",
    "PLATFORM_WEBHOOK_SECRET": "billing",
    "PLATFORM_API_KEY": "billing",
    "MAILER_DSN": "notifications",
    "SMS_MODE_KEY": "notifications",
    "SMSMODE_API_BASE": "notifications",
    "SMSMODE_WEBHOOK_TOKEN": "notifications",
    "BREVO_WEBHOOK_TOKEN": "notifications",
    "SLACK_WEBHOOK_URL": "notifications",
    "SLACK_ALLOW_LIST": "notifications",
    "TINYURL_TOKEN": "notifications",
    "JWT_SECRET_KEY": "admin_api",
    "JWT_PUBLIC_KEY": "admin_api",
    "JWT_PASSPHRASE": "admin_api",
}

# Of the development login: for the command that makes it, for no process.
ADMIN_PASSWORD = "ADMIN_PASSWORD"  # noqa: S105 - a name

# What a developer sees in `ps` or in a crash report is as little as can be.
_OWNERS = ("DATABASE_URL", *(f"{service.upper()}_DATABASE_URL" for service in SERVICES))


def read_secrets(path: Path) -> dict[str, str]:
    """The stack's own secrets, made the first time; readable by their owner only."""
    found = dict(line.split("=", 1) for line in _lines(path) if "=" in line and not line.startswith("#"))
    missing = {
        name: start + secrets.token_hex(24) for name, start in MADE_ONCE.items() if not found.get(name)
    }
    if missing:
        _write(path, found | missing)
    return found | missing


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []


def _write(path: Path, values: Mapping[str, str]) -> None:
    written = path.with_suffix(".new")
    written.unlink(missing_ok=True)
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("# Made by `relance up` for this folder's data only. The environment wins over them.\n")
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    written.replace(path)


def stack_environment(given: Mapping[str, str], data_dir: Path) -> dict[str, str]:
    """What is given, completed by development's values and by the secrets of the data folder.

    A name that is given but empty counts as not given, as in a copied `.env.example`.
    """
    filled = {name: value for name, value in given.items() if value}
    return {**DEVELOPMENT, **read_secrets(data_dir / "secrets.env"), **filled}


def common_settings(environment: Mapping[str, str]) -> CommonSettings:
    """For migrations and topics. Raises MisconfiguredError."""
    known = {name.upper(): name for name in CommonSettings.model_fields}
    values = {known[name]: value for name, value in environment.items() if name in known}
    # What was left out of `environment` for being empty is still in the process's own.
    return load(CommonSettings, **values, _env_ignore_empty=True)


def service_environment(service: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What one service is given: its own database role, no other's, never the owner's; its own secrets."""
    url_name = f"{service.upper()}_DATABASE_URL"
    own_url = environment.get(url_name) or common_settings(environment).service_database_url(service)
    theirs = {name for name, owner in ONLY_FOR.items() if owner != service} | {ADMIN_PASSWORD}
    kept = {name: value for name, value in environment.items() if name not in theirs and name not in _OWNERS}
    return {**kept, url_name: own_url}


def stand_in_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the stand-ins are given: nobody's secrets."""
    hidden = {*ONLY_FOR, *MADE_ONCE, *_OWNERS}
    return {name: value for name, value in environment.items() if name not in hidden}
