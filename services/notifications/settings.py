"""What notifications must be told."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parseaddr
from functools import cached_property
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from libs.common.errors import MisconfiguredError, PermanentFailure
from libs.common.settings import CommonSettings, Seconds, refuse_weak_secret
from libs.integrations.smtp import MailerDsn, ascii_address
from libs.integrations.tinyurl import API_BASE
from services.notifications.domain import KINDS, AllowList, Channel

# A lease must bear as many slow steps of one send: one on the way, and the answer to the mail itself.
SLOW_ANSWERS = 2


class NotificationsSettings(CommonSettings):
    """Notifications' own names, beside the common ones."""

    notifications_database_url: SecretStr | None = Field(
        default=None, description="notifications' own role's URL; none: made from DATABASE_URL"
    )
    notifications_port: int = Field(
        default=8002, ge=1, le=65535, description="port of notifications' internal door"
    )
    interne_apikey: SecretStr | None = Field(
        default=None,
        description="at least 16 characters; opens the internal doors (X-Api-Key). None: they stay closed",
    )
    mailer_dsn: SecretStr = Field(description="smtp://user:password@host:port of the mail server")
    mail_sender: str = Field(description="who mails are from: Name <address@domain>")
    mail_allow_list: str = Field(
        default="", description="outside prod: addresses or @domains that may be written to, comma-separated"
    )
    mail_support_address: str | None = Field(
        default=None, description="the address that mails name for questions; none: people just reply"
    )
    login_url: str = Field(pattern=r"^https?://", description="where « ME CONNECTER » leads")
    smtp_connections: int = Field(default=8, ge=1, description="connections to the mail server, kept open")
    smtp_timeout_seconds: Seconds = Field(
        default=20.0, description="the longest wait for one answer of the mail server"
    )
    unpaid_digest_seconds: float = Field(
        default=600.0, ge=0, description="how long an unpaid mail waits for invoices still being tried"
    )

    team_email: str | None = Field(
        default=None, description="where digests to our own team go by mail; none: no such mail"
    )
    slack_webhook_url: SecretStr | None = Field(
        default=None, description="Slack incoming webhook of the team's channel; none: nothing on Slack"
    )
    slack_allow_list: SecretStr = Field(
        default=SecretStr(""),
        description="outside prod: webhook URLs, beside those of this machine, that may be posted to",
    )
    slack_timeout_seconds: Seconds = Field(default=10.0, description="the longest wait for Slack's answer")
    team_digest_seconds: Seconds = Field(
        default=120.0, description="how long what the team should know gathers before it is told"
    )
    team_failures: int = Field(
        default=10, ge=1, description="failed messages within an hour from which the team is told of them"
    )
    team_expiry_hours: float = Field(
        default=48.0, gt=0, description="how long a digest is tried on Slack before it expires"
    )
    admin_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="where the team reaches admin_api, for links; none: no links",
    )
    tinyurl_token: SecretStr | None = Field(
        default=None, description="TinyURL's API token; none: links stay long"
    )
    tinyurl_api_base: str = Field(
        default=API_BASE, pattern=r"^https?://", description="TinyURL's API, or a stand-in"
    )
    tinyurl_domain: str | None = Field(
        default=None, description="the domain of short links; none: TinyURL's own"
    )
    tinyurl_timeout_seconds: Seconds = Field(default=2.0, description="the longest wait for TinyURL's answer")
    short_links_sms: str = Field(
        default="*", description="kinds whose SMS carry short links, comma-separated; *: all"
    )
    short_links_mail: str = Field(
        default="", description="kinds whose mails carry short links; spam filters dislike them"
    )
    content_days: int = Field(
        default=90, ge=1, description="how long a message's bytes and what is personal in its record are kept"
    )

    @field_validator("interne_apikey")
    @classmethod
    def _refuse_a_weak_key(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else refuse_weak_secret("INTERNE_APIKEY", value)

    @field_validator("mail_sender")
    @classmethod
    def _refuse_a_sender_without_address(cls, value: str) -> str:
        try:
            ascii_address(value)
        except PermanentFailure as failure:
            raise ValueError(f"MAIL_SENDER must be like Relance <bonjour@example.fr>: {failure}") from failure
        return value

    @field_validator("team_email")
    @classmethod
    def _refuse_what_is_no_address(cls, value: str | None) -> str | None:
        try:
            return ascii_address(value) if value else None
        except PermanentFailure as failure:
            raise ValueError(f"TEAM_EMAIL must be one address: {failure}") from failure

    @field_validator("slack_webhook_url")
    @classmethod
    def _refuse_what_is_no_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        parts = urlsplit(value.get_secret_value())
        if not parts.hostname or not (parts.scheme == "https" or _is_this_machine(parts.hostname)):
            raise ValueError("SLACK_WEBHOOK_URL must be like https://hooks.slack.com/services/T…/B…/…")
        return value

    @field_validator("tinyurl_token")
    @classmethod
    def _empty_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is not None and value.get_secret_value() else None

    @field_validator("short_links_sms", "short_links_mail")
    @classmethod
    def _refuse_unknown_kinds(cls, value: str) -> str:
        unknown = _words(value) - {"*", *KINDS}
        if unknown:
            raise ValueError(
                f"there is no message {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}"
            )
        return value

    def shortens(self, kind: str, channel: str) -> bool:
        """Whether messages of a kind carry short links on a channel."""
        if self.tinyurl_token is None:
            return False
        kinds = _words(self.short_links_sms if channel == Channel.SMS else self.short_links_mail)
        return "*" in kinds or kind in kinds

    @property
    def why_not_slack(self) -> str | None:
        """Why nothing is told on Slack; None where it is."""
        if self.slack_webhook_url is None:
            return "not_configured"
        url = self.slack_webhook_url.get_secret_value()
        allowed = {each.strip() for each in self.slack_allow_list.get_secret_value().split(",")}
        if self.app_env == "prod" or url in allowed or _is_this_machine(urlsplit(url).hostname or ""):
            return None
        return "not_allowed_outside_prod"

    @property
    def mail_sender_address(self) -> str:
        return ascii_address(self.mail_sender)

    @property
    def house(self) -> dict[str, str]:
        """What every mail may say of ourselves."""
        values = {
            "login_url": self.login_url,
            "brand_name": parseaddr(self.mail_sender)[0],
            "support_email": self.mail_support_address,
        }
        return {name: value for name, value in values.items() if value}

    @property
    def digest_wait(self) -> timedelta:
        return timedelta(seconds=self.unpaid_digest_seconds)

    @property
    def keep(self) -> timedelta:
        return timedelta(days=self.content_days)

    @cached_property
    def allow_list(self) -> AllowList:
        """Everyone in production or where mail goes no further than this machine (the catcher)."""
        entries = (entry.strip().lower() for entry in self.mail_allow_list.split(","))
        return AllowList(
            entries=frozenset(filter(None, entries)),
            is_open=self.app_env == "prod" or _is_loopback(self.mailer_dsn),
        )

    @property
    def send_seconds(self) -> float:
        """The longest a send may take; what takes longer is broken off well before its claim runs out."""
        return self.lease_seconds * 0.9

    def check_lease(self) -> None:
        """Raises MisconfiguredError when a claim could run out while the mail server is still talking."""
        needed_seconds = self.smtp_timeout_seconds * SLOW_ANSWERS
        if self.send_seconds <= needed_seconds:
            raise MisconfiguredError(
                f"LEASE_SECONDS is {self.lease_seconds:g}: too short for {SLOW_ANSWERS} answers of the mail "
                f"server that each take SMTP_TIMEOUT_SECONDS ({self.smtp_timeout_seconds:g}); set "
                f"LEASE_SECONDS above {needed_seconds / 0.9:.0f} or SMTP_TIMEOUT_SECONDS lower"
            )


def _words(text: str) -> frozenset[str]:
    return frozenset(filter(None, (word.strip() for word in text.split(","))))


def _is_loopback(dsn: SecretStr) -> bool:
    return _is_this_machine(MailerDsn.parse(dsn.get_secret_value()).host)


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
