"""What the admin API must be told."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from libs.common.settings import CommonSettings, Seconds, refuse_weak_secret


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

    @field_validator("interne_apikey")
    @classmethod
    def _refuse_a_weak_key(cls, value: SecretStr) -> SecretStr:
        return refuse_weak_secret("INTERNE_APIKEY", value)
