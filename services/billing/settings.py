"""What billing must be told."""

from __future__ import annotations

import base64
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from libs.common.errors import MisconfiguredError
from libs.common.settings import CommonSettings, Seconds, refuse_weak_secret
from services.billing.domain import PayLinks
from services.billing.domain.policy import Policy, read_policy

SHIPPED = Path(__file__).parent / "policies"
# The specification's least.
SHORTEST_WEBHOOK_KEY = 24


class BillingSettings(CommonSettings):
    """Names of the old `.env` where they exist: STRIPE_SK."""

    billing_database_url: SecretStr | None = Field(default=None, description="the URL of billing's own role")
    billing_port: int = Field(default=8001, description="port of billing's HTTP door")
    interne_apikey: SecretStr | None = Field(
        default=None,
        description="at least 16 characters; opens the internal doors (X-Api-Key). None: they stay closed",
    )
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
    stripe_breaker_failures: int = Field(
        default=5, ge=1, description="failures of Stripe in a row after which no case is begun"
    )
    stripe_breaker_rest_seconds: Seconds = Field(
        default=10.0, description="how long nothing is begun then, before one case tries"
    )
    billing_public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]+(/[^?#\s]*[^/?#\s])?/?$",
        description="where customers reach billing's /pay/, for mails' links; none: those are Stripe's own",
    )
    pay_link_days: int = Field(default=30, ge=1, description="how long a link in a mail is good")
    pay_opens_per_minute: int = Field(
        default=300, ge=1, description="how many links a process follows; what is more is asked to come again"
    )
    pay_opens_per_minute_and_link: int = Field(
        default=10, ge=1, description="how often one and the same link is followed"
    )
    platform_webhook_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]",
        description="where the phone platform hears what lines shall do; none: wishes are kept, not sent",
    )
    platform_webhook_secret: SecretStr | None = Field(
        default=None, description="whsec_<base64>[,whsec_…]: both while one is being rolled"
    )
    platform_api_key: SecretStr | None = Field(
        default=None, description="at least 16 characters; the platform's own key to /internal/lines/"
    )
    platform_timeout_seconds: Seconds = Field(
        default=10.0, description="the longest wait for the platform's answer; shorter than a lease"
    )
    platform_workers: int = Field(default=4, ge=1, description="wishes sent at once, of different companies")
    line_alarm_seconds: Seconds = Field(
        default=300.0,
        description="how long a wish may wait for its confirmation before it is an alarm",
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
    stripe_events_kept_days: int = Field(
        default=90, ge=45, description="how long Stripe's events are kept; those of open cases for longer"
    )
    card_expiring_days: int = Field(
        default=21, ge=1, le=90, description="days before a card's last good day to tell its company"
    )
    dunning_workers: int = Field(
        default=100,
        ge=1,
        description="cases worked at once at most; as many are as use the pace, however slow Stripe is",
    )
    dunning_policy_file: Path | None = Field(
        default=None, description="the dunning policy, a TOML file; none: the newest that is shipped"
    )

    @field_validator("interne_apikey")
    @classmethod
    def _refuse_a_weak_key(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else refuse_weak_secret("INTERNE_APIKEY", value)

    @field_validator("platform_api_key")
    @classmethod
    def _refuse_a_weak_platform_key(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else refuse_weak_secret("PLATFORM_API_KEY", value)

    @field_validator("platform_webhook_secret")
    @classmethod
    def _refuse_what_signs_nothing(cls, value: SecretStr | None) -> SecretStr | None:
        for secret in _split(value) if value else ():
            _check_webhook_secret(secret)
        return value

    @model_validator(mode="after")
    def _refuse_an_unsigned_platform(self) -> Self:
        if self.platform_webhook_url is None:
            return self
        if not self.platform_secrets():
            raise ValueError("PLATFORM_WEBHOOK_SECRET is empty: the platform would do what anybody tells it")
        if self.platform_timeout_seconds >= self.lease_seconds:
            raise ValueError(
                "PLATFORM_TIMEOUT_SECONDS must be shorter than LEASE_SECONDS, or a wish is sent twice at once"
            )
        return self

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

    @field_validator("billing_public_url")
    @classmethod
    def _without_the_last_slash(cls, value: str | None) -> str | None:
        return value and value.rstrip("/")

    @cached_property
    def pay_links(self) -> PayLinks:
        secret = self.app_secret.get_secret_value()
        return PayLinks(secret, public_url=self.billing_public_url, days=self.pay_link_days)

    @property
    def is_live(self) -> bool | None:
        """Whether the key is of Stripe's live mode; None for a key that does not say."""
        words = self.stripe_sk.get_secret_value().split("_")
        return {"live": True, "test": False}.get(words[1]) if len(words) > 1 else None

    @field_validator("dunning_policy_file")
    @classmethod
    def _refuse_a_wrong_policy(cls, value: Path | None) -> Path | None:
        try:
            load_policy(value)
        except MisconfiguredError as error:
            raise ValueError(str(error)) from error
        return value

    @cached_property
    def policy(self) -> Policy:
        return load_policy(self.dunning_policy_file)

    def platform_secrets(self) -> list[str]:
        return _split(self.platform_webhook_secret) if self.platform_webhook_secret else []

    @model_validator(mode="after")
    def _refuse_an_overlap_that_forgets(self) -> Self:
        if self.stripe_reconcile_overlap_seconds <= self.stripe_reconcile_grace_seconds:
            raise ValueError(
                "STRIPE_RECONCILE_OVERLAP_SECONDS must be more than STRIPE_RECONCILE_GRACE_SECONDS: an event "
                "that a walk passes over as too young must be seen by the next one"
            )
        return self

    @model_validator(mode="after")
    def _refuse_to_tell_twice(self) -> Self:
        if self.outbox_kept_days <= self.stripe_events_kept_days:
            raise ValueError(
                "OUTBOX_KEPT_DAYS must be more than STRIPE_EVENTS_KEPT_DAYS: an event that is replayed must "
                "find what it told"
            )
        return self

    def webhook_secrets(self) -> list[str]:
        return _split(self.stripe_webhook_secrets)


def load_policy(file: Path | None) -> Policy:
    """Raises MisconfiguredError, naming every mistake with its line."""
    path = file or max(SHIPPED.glob("*.toml"))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MisconfiguredError(f"the dunning policy {path} cannot be read: {error}") from error
    return read_policy(text, str(path))


def _check_webhook_secret(secret: str) -> None:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith("whsec_") or len(key) < SHORTEST_WEBHOOK_KEY:
        raise ValueError(
            f"PLATFORM_WEBHOOK_SECRET must be whsec_ and at least {SHORTEST_WEBHOOK_KEY} bytes in base64: "
            '`echo "whsec_$(openssl rand -base64 32)"` makes one'
        )


def _split(value: SecretStr) -> list[str]:
    return [secret.strip() for secret in value.get_secret_value().split(",") if secret.strip()]
