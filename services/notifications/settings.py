"""What notifications must be told."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parseaddr
from functools import cached_property

from pydantic import Field, SecretStr, field_validator

from libs.common.errors import MisconfiguredError, PermanentFailure
from libs.common.settings import Seconds, refuse_weak_secret
from libs.integrations.smsmode.client import LONGEST_QUEUE_SECONDS
from libs.integrations.smtp import MailerDsn, ascii_address
from services.notifications.domain import AllowList
from services.notifications.domain.preference_links import PreferenceLinks
from services.notifications.provider_settings import ProviderSettings, is_loopback
from services.notifications.team_settings import TeamSettings

# A lease must bear as many slow steps of one send: one on the way, and the answer to the mail itself.
SLOW_ANSWERS = 2


class NotificationsSettings(ProviderSettings, TeamSettings):
    """Notifications' own names, beside the common ones, its providers', consent's and the team's."""

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
    mobile_app_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="the page of the mobile application; none: the mail about it leads to LOGIN_URL",
    )
    signup_offer_terms: str | None = Field(
        default=None,
        description="what the -30 % of the sign-up mail apply to and until when, as printed in it",
    )
    signup_offer_code: str | None = Field(
        default=None, description="the code to type for those -30 %, as printed in the mail"
    )
    login_url: str = Field(pattern=r"^https?://", description="where « ME CONNECTER » leads")
    smtp_connections: int = Field(default=8, ge=1, description="connections to the mail server, kept open")
    smtp_timeout_seconds: Seconds = Field(
        default=20.0, description="the longest wait for one answer of the mail server"
    )
    unpaid_digest_seconds: float = Field(
        default=600.0, ge=0, description="how long an unpaid mail waits for invoices still being tried"
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

    @cached_property
    def mail_sender_address(self) -> str:
        return ascii_address(self.mail_sender)

    @cached_property
    def preference_links(self) -> PreferenceLinks:
        return PreferenceLinks(
            self.app_secret.get_secret_value(),
            public_url=self.notifications_public_url,
            address=self.mail_unsubscribe_address or self.mail_sender_address,
            days=self.unsubscribe_link_days,
        )

    @cached_property
    def house(self) -> dict[str, str]:
        """What every mail may say of ourselves."""
        values = {
            "login_url": self.login_url,
            "brand_name": parseaddr(self.mail_sender)[0],
            "support_email": self.mail_support_address,
            "mobile_app_url": self.mobile_app_url,
            "offer_terms": self.signup_offer_terms,
            "offer_code": self.signup_offer_code,
        }
        return {name: value for name, value in values.items() if value}

    @property
    def digest_wait(self) -> timedelta:
        return timedelta(seconds=self.unpaid_digest_seconds)

    @cached_property
    def allow_list(self) -> AllowList:
        """Everyone in production or where mail goes no further than this machine (the catcher)."""
        entries = (entry.strip().lower() for entry in self.mail_allow_list.split(","))
        dsn = self.mailer_dsn.get_secret_value()
        return AllowList(
            entries=frozenset(filter(None, entries)),
            is_open=self.app_env == "prod" or is_loopback(MailerDsn.parse(dsn).host),
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
        needed_seconds = self.sms_timeout_seconds + LONGEST_QUEUE_SECONDS
        if self.sms_mode_key is not None and self.send_seconds <= needed_seconds:
            raise MisconfiguredError(
                f"LEASE_SECONDS is {self.lease_seconds:g}: too short for an answer of the SMS provider that "
                f"takes SMS_TIMEOUT_SECONDS ({self.sms_timeout_seconds:g}) after its turn has come; set "
                f"LEASE_SECONDS above {needed_seconds / 0.9:.0f} or SMS_TIMEOUT_SECONDS lower"
            )
