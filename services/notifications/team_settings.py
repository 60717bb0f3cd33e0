"""What notifications must be told of our own team, of short links, and of how long messages are kept."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from libs.common.errors import PermanentFailure
from libs.common.settings import CommonSettings, Seconds
from libs.integrations.smtp import ascii_address
from libs.integrations.tinyurl import API_BASE
from services.notifications.domain import KINDS, Channel
from services.notifications.provider_settings import is_loopback


class TeamSettings(CommonSettings):
    """A part of NotificationsSettings."""

    team_email: str | None = Field(
        default=None, description="where our own team is written to; none: it gets no mail"
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

    @field_validator("team_email")
    @classmethod
    def _refuse_a_team_without_address(cls, value: str | None) -> str | None:
        try:
            return ascii_address(value) if value else None
        except PermanentFailure as failure:
            raise ValueError(f"TEAM_EMAIL must be one address: {failure}") from failure

    @field_validator("slack_webhook_url")
    @classmethod
    def _refuse_what_is_no_slack(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        parts = urlsplit(value.get_secret_value())
        is_ours = parts.scheme == "http" and is_loopback(parts.hostname or "")
        if not parts.hostname or not (parts.scheme == "https" or is_ours):
            raise ValueError("SLACK_WEBHOOK_URL must be like https://hooks.slack.com/services/T…/B…/…")
        return value

    @field_validator("tinyurl_token")
    @classmethod
    def _empty_token_is_none(cls, value: SecretStr | None) -> SecretStr | None:
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
        if self.app_env == "prod" or url in allowed or is_loopback(urlsplit(url).hostname or ""):
            return None
        return "not_allowed_outside_prod"

    @property
    def keep(self) -> timedelta:
        return timedelta(days=self.content_days)


def _words(text: str) -> frozenset[str]:
    return frozenset(filter(None, (word.strip() for word in text.split(","))))
