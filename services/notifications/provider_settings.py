"""What notifications must be told of the providers that carry its messages and report on them."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cached_property
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from libs.common.settings import CommonSettings, Seconds, refuse_weak_secret
from libs.integrations.smsmode.client import API_BASE
from services.notifications.domain.numbers import NumberList, mobile_of

_SENDER = re.compile(r"[a-zA-Z0-9\s]{1,11}")


class ProviderSettings(CommonSettings):
    """SMS, and the doors at which mail and SMS providers tell what became of a message."""

    sms_mode_key: SecretStr | None = Field(
        default=None, description="smsmode's API key; none: no SMS is sent, each is noted as suppressed"
    )
    smsmode_api_base: str = Field(
        default=API_BASE, pattern=r"^https?://", description="where smsmode's API is; development's stand-in"
    )
    sms_sender: str = Field(
        default="Relance",
        description="whom an SMS is from: at most 11 letters, digits and spaces, no accents",
    )
    sms_allow_list: str = Field(
        default="", description="outside prod: numbers that an SMS may leave for, comma-separated"
    )
    sms_part_price_cents: Decimal = Field(
        default=Decimal("5.0"), ge=0, description="what one part of an SMS costs, for the estimates shown"
    )
    sms_transliterate: bool = Field(
        default=True,
        description="write letters that an SMS has not with others (ê as e) where that saves a part",
    )
    sms_connections: int = Field(default=4, ge=1, description="SMS on their way at once")
    sms_requests_per_second: float = Field(default=10.0, gt=0, description="pace towards the SMS provider")
    sms_timeout_seconds: Seconds = Field(
        default=20.0, description="the longest wait for the SMS provider's answer"
    )
    notifications_public_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="where providers reach notifications from outside; none: they are asked for no callbacks",
    )
    smsmode_webhook_token: SecretStr | None = Field(
        default=None,
        description="at least 16 characters; smsmode's callbacks carry it in their path. None: no callbacks",
    )
    brevo_webhook_token: SecretStr | None = Field(
        default=None,
        description="at least 16 characters; Brevo's webhooks carry it in their path, as bearer token or as "
        "password of basic auth. None: that door is closed",
    )
    webhook_max_bytes: int = Field(
        default=262_144, ge=1024, description="the largest callback of a provider that is read"
    )
    settle_after_seconds: Seconds = Field(
        default=60.0, description="how long after an unknown outcome the provider is first asked about it"
    )

    @field_validator("sms_sender")
    @classmethod
    def _refuse_a_sender_that_phones_cannot_show(cls, value: str) -> str:
        if not _SENDER.fullmatch(value) or not value.strip():
            raise ValueError(
                "SMS_SENDER must have 1 to 11 letters, digits or spaces, without accents, such as DISTRICALL"
            )
        return value

    @field_validator("sms_allow_list")
    @classmethod
    def _refuse_what_is_no_mobile(cls, value: str) -> str:
        wrong = [entry for entry in _entries(value) if mobile_of(entry)[1] is not None]
        if wrong:
            raise ValueError(f"SMS_ALLOW_LIST names what is no mobile number: {', '.join(wrong)}")
        return value

    @field_validator("smsmode_webhook_token", "brevo_webhook_token")
    @classmethod
    def _refuse_a_guessable_token(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else refuse_weak_secret("A webhook token", value)

    @cached_property
    def number_list(self) -> NumberList:
        """Everyone in production, or where SMS go no further than this machine (the stand-in)."""
        return NumberList(
            entries=frozenset(mobile_of(entry)[0] for entry in _entries(self.sms_allow_list)),
            is_production=self.app_env == "prod",
            is_stand_in=is_loopback(urlsplit(self.smsmode_api_base).hostname),
            is_on=self.sms_mode_key is not None,
        )

    @property
    def smsmode_callback_url(self) -> str | None:
        """None where smsmode could not reach it, or nothing there would let it in."""
        if self.notifications_public_url is None or self.smsmode_webhook_token is None:
            return None
        base = self.notifications_public_url.rstrip("/")
        return f"{base}/webhooks/smsmode/{self.smsmode_webhook_token.get_secret_value()}"


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def is_loopback(host: str | None) -> bool:
    if host is None or host == "localhost":
        return host is not None
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
