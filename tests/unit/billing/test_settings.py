"""Billing refuses settings under which it would miss something."""

from __future__ import annotations

import pytest

from libs.common.errors import MisconfiguredError
from libs.common.settings import load
from services.billing.settings import BillingSettings

GIVEN = {
    "app_env": "test",
    "app_secret": "a-secret-for-tests-only-0123456789",
    "database_url": "postgresql://relance@127.0.0.1/relance",
    "kafka_bootstrap_servers": "127.0.0.1:9092",
    "stripe_sk": "sk_test_1",
    "stripe_webhook_secrets": "whsec_1",
}


def test_an_overlap_shorter_than_the_grace_is_refused() -> None:
    load(BillingSettings, **GIVEN)
    with pytest.raises(MisconfiguredError, match="must be more than STRIPE_RECONCILE_GRACE_SECONDS"):
        load(BillingSettings, **GIVEN, stripe_reconcile_overlap_seconds=10)


def test_a_weak_internal_key_is_refused() -> None:
    with pytest.raises(MisconfiguredError, match="INTERNE_APIKEY"):
        load(BillingSettings, **GIVEN, interne_apikey="short")
