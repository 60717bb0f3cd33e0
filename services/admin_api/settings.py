"""What the admin API must be told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from libs.common.settings import CommonSettings, Seconds, refuse_weak_secret

Hours = Annotated[float, Field(gt=0)]
Address = Annotated[str, Field(pattern=r"^https?://[^/\s]+$")]


class AdminApiSettings(CommonSettings):
    """The admin API's own names, beside the common ones."""

    admin_api_database_url: SecretStr | None = Field(
        default=None, description="admin_api's own role's URL; none: made from DATABASE_URL"
    )
    admin_api_port: int = Field(default=8000, ge=1, le=65535, description="port of the admin API")
    interne_apikey: SecretStr = Field(
        description="at least 16 characters; opens the internal doors, in the header X-Api-Key"
    )
    number_rest_days: int = Field(
        default=90, ge=0, description="days for which a number that was taken back is given to nobody"
    )

    routine_watch_seconds: Seconds = Field(
        default=60.0,
        description="how often the admin API looks whether a routine's run is missing; at the second look it "
        "alarms",
    )

    jwt_secret_key: Path | None = Field(
        default=None,
        description="file of the RSA key (PEM) that signs admins' tokens; in prod it must be there",
    )
    jwt_public_key: Path | None = Field(
        default=None, description="file of its public half (PEM); none: taken from JWT_SECRET_KEY"
    )
    jwt_passphrase: SecretStr | None = Field(default=None, description="passphrase of JWT_SECRET_KEY, if any")
    access_seconds: Seconds = Field(
        default=300.0, description="how long an access token is good; a revoked session ends at once"
    )
    session_idle_hours: Hours = Field(
        default=12.0, description="an admin's session ends when nothing was done for so long"
    )
    session_longest_hours: Hours = Field(
        default=168.0, description="an admin's session ends after so long, whatever was done"
    )
    login_window_seconds: Seconds = Field(
        default=900.0, description="window in which tries to sign in are counted"
    )
    login_tries_per_account: int = Field(
        default=10, ge=1, description="tries of one account in a window, whoever makes them"
    )
    login_tries_per_address: int = Field(
        default=50, ge=1, description="tries from one address in a window, whatever account they are for"
    )
    trusted_proxies: str = Field(
        default="",
        description="addresses or networks, by commas, whose X-Forwarded-For and -Proto are believed",
    )
    cors_allow_origin: str = Field(
        default="",
        description="regular expression of the origins whose scripts may call /api; empty: none. Cookies are "
        "never among what they may use",
    )

    billing_internal_url: Address = Field(
        default="http://127.0.0.1:8001", description="where the admin pages find billing"
    )
    notifications_internal_url: Address = Field(
        default="http://127.0.0.1:8002", description="where the admin pages find notifications"
    )
    scheduler_internal_url: Address = Field(
        default="http://127.0.0.1:8003", description="where the admin pages find the scheduler"
    )

    @field_validator("interne_apikey")
    @classmethod
    def _refuse_a_weak_key(cls, value: SecretStr) -> SecretStr:
        return refuse_weak_secret("INTERNE_APIKEY", value)

    @field_validator("cors_allow_origin")
    @classmethod
    def _refuse_every_origin(cls, value: str) -> str:
        try:
            pattern = re.compile(value)
        except re.error as error:
            raise ValueError(f"CORS_ALLOW_ORIGIN is not a regular expression: {error}") from error
        if value and pattern.fullmatch("https://nobody-would-name.invalid"):
            raise ValueError(
                "CORS_ALLOW_ORIGIN lets every origin in: name yours, such as ^https://www\\.exemple\\.fr$"
            )
        return value

    @property
    def is_plain_http(self) -> bool:
        """Development's pages are served by plain HTTP, on this machine."""
        return self.app_env == "dev"
