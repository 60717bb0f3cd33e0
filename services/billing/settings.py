"""What billing must be told."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from libs.common.settings import CommonSettings, Seconds, check_database_url, refuse_weak_secret


class BillingSettings(CommonSettings):
    """Names of the old `.env` where they exist: STRIPE_SK."""

    billing_database_url: SecretStr | None = Field(default=None, description="the URL of billing's own role")
    billing_port: int = Field(default=8001, description="port of billing's HTTP door")
    stripe_api_base: str = Field(default="https://api.stripe.com", description="Stripe's API, or a simulator")
    stripe_sk: SecretStr = Field(description="Stripe's secret key, sk_live_… or sk_test_…")
    stripe_webhook_secrets: SecretStr = Field(description="whsec_…[,whsec_…]: both while one is being rolled")
    stripe_webhook_tolerance_seconds: int = Field(
        default=300, ge=1, description="how old, or early, a signature may be"
    )
    stripe_webhook_max_bytes: int = Field(default=262_144, ge=1024, description="the largest body accepted")
    stripe_timeout_seconds: Seconds = Field(default=30.0, description="the longest wait for Stripe's answer")
    stripe_requests_per_second: float = Field(
        default=25.0, gt=0, description="requests to Stripe, of all workers of a process together"
    )
    stripe_reconcile_overlap_seconds: Seconds = Field(
        default=1800.0,
        description="how far before what the last walk through Stripe's events reached the next one begins",
    )
    stripe_reconcile_grace_seconds: float = Field(
        default=300.0, ge=0, description="how old an event is before its webhook counts as missed"
    )
    stripe_reconcile_invoice_days: int = Field(
        default=30, ge=0, description="open invoices younger than this that failed unheard get their case"
    )
    interne_apikey: SecretStr | None = Field(
        default=None,
        description="at least 16 characters; opens the internal doors (X-Api-Key). None: they stay closed",
    )
    stripe_breaker_failures: int = Field(
        default=5, ge=1, description="failures of Stripe in a row after which no case is begun"
    )
    stripe_breaker_rest_seconds: Seconds = Field(
        default=10.0, description="how long nothing is begun then, before one case tries"
    )
    dunning_workers: int = Field(
        default=100,
        ge=1,
        description="cases worked at once at most; as many are as use the pace, however slow Stripe is",
    )
    dunning_deadline_days: int = Field(default=14, ge=1, description="days from the first failure to pay")
    dunning_skips_hopeless: bool = Field(
        default=True, description="leave out methods whose last decline was final, or that are cooling down"
    )

    @field_validator("billing_database_url")
    @classmethod
    def _refuse_other_databases(cls, value: SecretStr | None) -> SecretStr | None:
        return value and check_database_url("BILLING_DATABASE_URL", value)

    @field_validator("stripe_sk")
    @classmethod
    def _refuse_an_empty_key(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().strip():
            raise ValueError("STRIPE_SK is empty: Stripe's secret key is needed to collect invoices")
        return value

    @field_validator("stripe_webhook_secrets")
    @classmethod
    def _refuse_empty_secrets(cls, value: SecretStr) -> SecretStr:
        if not _split(value):
            raise ValueError("STRIPE_WEBHOOK_SECRETS is empty: without it anyone could tell us anything")
        return value

    @field_validator("interne_apikey")
    @classmethod
    def _refuse_a_weak_key(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else refuse_weak_secret("INTERNE_APIKEY", value)

    @model_validator(mode="after")
    def _refuse_an_overlap_that_forgets(self) -> Self:
        if self.stripe_reconcile_overlap_seconds <= self.stripe_reconcile_grace_seconds:
            raise ValueError(
                "STRIPE_RECONCILE_OVERLAP_SECONDS must be more than STRIPE_RECONCILE_GRACE_SECONDS: an event "
                "that a walk passes over as too young must be seen by the next one"
            )
        return self

    def webhook_secrets(self) -> list[str]:
        return _split(self.stripe_webhook_secrets)


def _split(value: SecretStr) -> list[str]:
    return [secret.strip() for secret in value.get_secret_value().split(",") if secret.strip()]
