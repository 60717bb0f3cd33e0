"""What notifications must be told of consent: hours, how often, and where people object."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field, ValidationInfo, field_validator

from libs.common.settings import CommonSettings
from services.notifications.domain import Category, Channel, Consent, Hours, parse_hours, target_of
from services.notifications.domain.hours import DAYS, HOLIDAY
from services.notifications.domain.targets import is_number

_ITS_HOURS = "hours of {} {}, Paris: always, or windows by day (mon…sun) and for public holidays (holiday)"
# What everybody who writes of marketing SMS agrees on: neither so early nor so late.
_SMS_OPENS, _SMS_CLOSES = 8 * 60, 22 * 60


class ConsentSettings(CommonSettings):
    """When and how often people may be written to, and where they say that they want no more."""

    notifications_public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]+(/[^?#\s]*[^/?#\s])?/?$",
        description="where people reach notifications' /u/ and /preferences/, and providers its callbacks; "
        "none: neither",
    )
    mail_unsubscribe_address: str | None = Field(
        default=None, description="the address to which people write to unsubscribe; none: MAIL_SENDER's own"
    )
    unsubscribe_link_days: int = Field(
        default=1095, ge=60, description="how long a mail's links to unsubscribe and to preferences are good"
    )
    preference_opens_per_minute: int = Field(
        default=600, ge=1, description="how many of those links a process follows"
    )
    preference_opens_per_minute_and_link: int = Field(
        default=20, ge=1, description="how often one and the same of them is followed"
    )
    hours_marketing_mail: str = Field(
        default="mon-sat 8:00-20:00", description=_ITS_HOURS.format("marketing", "mails")
    )
    hours_marketing_sms: str = Field(
        default="mon-fri 10:00-20:00, sat 10:00-19:00",
        description=f"{_ITS_HOURS.format('marketing', 'SMS')}; never sun or holiday",
    )
    hours_transactional_mail: str = Field(
        default="always", description=_ITS_HOURS.format("transactional", "mails")
    )
    hours_transactional_sms: str = Field(
        default="always", description=_ITS_HOURS.format("transactional", "SMS")
    )
    hours_legal_mail: str = Field(default="always", description=_ITS_HOURS.format("legal", "mails"))
    hours_legal_sms: str = Field(default="always", description=_ITS_HOURS.format("legal", "SMS"))
    marketing_most_a_day: int = Field(
        default=1, ge=1, description="marketing messages a company gets on one day at most; more are held"
    )
    marketing_most_a_week: int = Field(
        default=3, ge=1, description="marketing messages a company gets on seven days in a row at most"
    )
    mail_rate_per_second: float | None = Field(
        default=None, gt=0, description="mails a process hands over each second at most; none: no limit"
    )

    @field_validator(
        "hours_marketing_mail", "hours_marketing_sms", "hours_transactional_mail", "hours_transactional_sms",
        "hours_legal_mail", "hours_legal_sms",
    )  # fmt: skip
    @classmethod
    def _refuse_what_is_no_hours(cls, value: str, field: ValidationInfo) -> str:
        hours = parse_hours(value)
        if field.field_name == "hours_marketing_sms":
            _refuse_unlawful(hours)
        return value

    @field_validator("mail_unsubscribe_address")
    @classmethod
    def _refuse_what_is_no_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        target = target_of(value)
        if is_number(target) or target.startswith("@"):
            raise ValueError(f"MAIL_UNSUBSCRIBE_ADDRESS is {target}: write an address, like stop@example.fr")
        return target

    @field_validator("notifications_public_url")
    @classmethod
    def _without_a_slash_at_the_end(cls, value: str | None) -> str | None:
        return value and value.rstrip("/")

    @cached_property
    def consent(self) -> Consent:
        written = {
            (Category.MARKETING, Channel.MAIL): self.hours_marketing_mail,
            (Category.MARKETING, Channel.SMS): self.hours_marketing_sms,
            (Category.TRANSACTIONAL, Channel.MAIL): self.hours_transactional_mail,
            (Category.TRANSACTIONAL, Channel.SMS): self.hours_transactional_sms,
            (Category.LEGAL, Channel.MAIL): self.hours_legal_mail,
            (Category.LEGAL, Channel.SMS): self.hours_legal_sms,
        }
        return Consent(
            hours={which: parse_hours(text) for which, text in written.items()},
            most_a_day=self.marketing_most_a_day,
            most_a_week=self.marketing_most_a_week,
        )


def _refuse_unlawful(hours: Hours) -> None:
    if not hours.windows or set(hours.windows) & {DAYS[-1], HOLIDAY}:
        raise ValueError(
            "HOURS_MARKETING_SMS: a marketing SMS may leave neither on a Sunday nor on a public holiday; "
            "name the days from mon to sat only"
        )
    for window in (window for each in hours.windows.values() for window in each):
        if window.opens < _SMS_OPENS or window.closes > _SMS_CLOSES:
            raise ValueError("HOURS_MARKETING_SMS: not before 8:00 nor after 22:00; narrow the window")
