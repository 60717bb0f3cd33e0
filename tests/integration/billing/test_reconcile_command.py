"""`relance reconcile`: what people type."""

from __future__ import annotations

import asyncio

import pytest
from click.testing import CliRunner

from services.cli import relance
from tests.integration.billing.conftest import Billing
from tests.world import until


async def _typed(*words: str) -> str:
    result = await asyncio.to_thread(CliRunner().invoke, relance, ["reconcile", *words])
    assert result.exit_code == 0, result.output
    return result.output


async def test_asked_for_by_hand_it_is_done_and_shown(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = billing.settings
    for name, value in {
        "APP_ENV": "test",
        "APP_SECRET": settings.app_secret.get_secret_value(),
        "BILLING_DATABASE_URL": settings.service_database_url("billing"),
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "STRIPE_SK": "sk_test_1",
        "STRIPE_WEBHOOK_SECRETS": "whsec_1",
    }.items():
        monkeypatch.setenv(name, value)
    assert "never asked for" in await _typed("status")
    await billing.stripe.chaos(lose_all=True)
    await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=["pay"])
    await billing.stripe.calm()

    await _typed("run")

    async def is_done() -> bool:
        words = dict(line.split(maxsplit=1) for line in (await _typed("status")).splitlines())
        is_over = words["outcome"] == "done" and words["outstanding"] == "0"
        return is_over and words["missing"] == words["recovered"] != "0"

    await until(is_done, what="the walk asked for")
