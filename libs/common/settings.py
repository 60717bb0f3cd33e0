"""What every service must be told. The environment names of the old `.env` are kept where they exist."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.common.errors import MisconfiguredError

S = TypeVar("S", bound="CommonSettings")
Seconds = Annotated[float, Field(gt=0)]


SHORTEST_SECRET = 16


class CommonSettings(BaseSettings):
    """Shared by all services. Defaults are production's; `relance up` hands in development's shorter ones."""

    model_config = SettingsConfigDict(env_file=None, extra="ignore", hide_input_in_errors=True)

    app_env: Literal["dev", "test", "prod"] = Field(description="dev, test or prod")
    app_secret: SecretStr = Field(
        description="at least 16 characters; role passwords and signed links derive from it"
    )
    database_url: SecretStr | None = Field(default=None, description="the owner's URL, for `relance migrate`")
    database_role_prefix: str = Field(
        default="relance", pattern=r"^[a-z][a-z0-9_]{0,30}$", description="roles are <prefix>_<service>"
    )
    database_single_role: bool = Field(default=False, description="true where the owner may not create roles")
    database_pool_size: int = Field(default=10, ge=2, description="connections a process")
    kafka_bootstrap_servers: str = Field(min_length=3, description="host:port[,host:port…]")
    kafka_topic_prefix: str = Field(default="", description="put before every topic and group; for tests")
    kafka_topic_partitions: int = Field(default=6, ge=1, description="partitions a topic is created with")
    kafka_replication_factor: int = Field(default=3, ge=1, description="replicas a topic is created with")
    kafka_min_insync_replicas: int = Field(
        default=2, ge=1, description="replicas that must have a fact before it counts"
    )
    kafka_timeout_seconds: Seconds = Field(
        default=4.0, description="the longest wait for Kafka's acknowledgement"
    )
    kafka_session_seconds: Seconds = Field(
        default=10.0, description="silence after which a reader's partitions move"
    )
    poll_seconds: Seconds = Field(default=5.0, description="the longest rest of a job that nothing wakes")
    lease_seconds: Seconds = Field(default=60.0, description="how long a claim holds without a sign of life")
    retry_first_seconds: Seconds = Field(
        default=2.0, description="the first wait after a failure; it doubles"
    )
    retry_longest_seconds: Seconds = Field(default=900.0, description="the longest wait between two tries")
    retry_attempts: int = Field(default=12, ge=1, description="tries before an event is set aside")
    inbox_workers: int = Field(default=3, ge=1, description="batches of the inbox worked at once")
    inbox_batch: int = Field(default=50, ge=1, description="events worked in one transaction")
    inbox_kept_days: int = Field(
        default=60,
        ge=45,
        description="how long an event that was worked is remembered; Kafka and Stripe may repeat it for 37",
    )
    outbox_kept_days: int = Field(
        default=400,
        ge=90,
        description="how long a fact that was told is kept, so as not to tell it twice",
    )
    housekeeping_seconds: Seconds = Field(
        default=3600.0, description="the rest between two rounds of deleting what is past its keeping time"
    )
    housekeeping_batch: int = Field(default=500, ge=1, description="rows deleted in one transaction")
    watchdog_seconds: Seconds = Field(
        default=60.0, description="lag without progress after which the process ends"
    )
    shutdown_seconds: Seconds = Field(default=10.0, description="how long a clean stop may take")
    log_dir: Path | None = Field(
        default=None, description="folder of the daily app@<env>-<date>.log; none: stdout only"
    )
    host: str = Field(default="127.0.0.1", description="address the HTTP doors listen on")

    @field_validator("app_secret")
    @classmethod
    def _refuse_a_weak_secret(cls, value: SecretStr) -> SecretStr:
        return refuse_weak_secret("APP_SECRET", value)

    # Those of the services too. One of the same name in a subclass would take the place of this one.
    @field_validator("*")
    @classmethod
    def _refuse_other_databases(cls, value: object, field: ValidationInfo) -> object:
        name = field.field_name or ""
        if name.endswith("database_url") and isinstance(value, SecretStr):
            _check_database_url(name.upper(), value)
        return value

    def role_of(self, service: str) -> str:
        return f"{self.database_role_prefix}_{service}"

    def role_password_of(self, service: str) -> str:
        """Derived, not stored: the same on the machine that migrates and on the one that runs."""
        text = f"database role {self.role_of(service)}".encode()
        return hmac.new(self.app_secret.get_secret_value().encode(), text, hashlib.sha256).hexdigest()

    def service_database_url(self, service: str) -> str:
        """`<SERVICE>_DATABASE_URL` if set, else the owner's URL with the service's own role."""
        own: SecretStr | None = getattr(self, f"{service}_database_url", None)
        if own is not None:
            return own.get_secret_value()
        if self.database_url is None:
            raise MisconfiguredError(f"set {service.upper()}_DATABASE_URL or DATABASE_URL (postgresql://…)")
        if self.database_single_role:
            return self.database_url.get_secret_value()
        parts = urlsplit(self.database_url.get_secret_value())
        host = parts.netloc.rpartition("@")[2]
        user = f"{quote(self.role_of(service))}:{quote(self.role_password_of(service))}"
        return urlunsplit(parts._replace(netloc=f"{user}@{host}"))


def refuse_weak_secret(name: str, value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().strip()) < SHORTEST_SECRET:
        raise ValueError(
            f"{name} must have at least {SHORTEST_SECRET} characters: `openssl rand -hex 32` makes one"
        )
    return value


def _check_database_url(name: str, value: SecretStr) -> None:
    scheme = urlsplit(value.get_secret_value()).scheme
    if scheme not in ("postgresql", "postgres"):
        raise ValueError(
            f"{name} begins with {scheme or 'nothing'}://: Relance keeps its data in PostgreSQL only; "
            "write postgresql://user:password@host:5432/database"
        )


def load(settings_class: type[S], **values: Any) -> S:
    """Settings from the environment. Raises MisconfiguredError that lists every wrong or missing name."""
    try:
        return settings_class(**values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        raise MisconfiguredError(
            f"{settings_class.__name__} cannot be read from the environment (see .env.example):\n  "
            + "\n  ".join(lines)
        ) from error
