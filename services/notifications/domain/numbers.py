"""Phone numbers as people type them: which of them take an SMS."""

from __future__ import annotations

import re
from dataclasses import dataclass

from phonenumbers import (
    NumberParseException,
    PhoneNumberFormat,
    PhoneNumberType,
    format_number,
    is_valid_number,
    number_type,
    parse,
)

from services.notifications.domain.deliveries import Why

HOME = "FR"
_TAKE_SMS = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
# Arcep keeps these for films and examples: nobody ever has one.
_TEST_NUMBER = re.compile(r"\+3363998\d{4}", re.ASCII)


def is_test_number(mobile: str) -> bool:
    return _TEST_NUMBER.fullmatch(mobile) is not None


def mobile_of(phone: str | None) -> tuple[str, Why | None]:
    """The number in E.164, such as +33612345678; with why no SMS can go there, if so."""
    if not phone or not phone.strip():
        return "", Why.NO_ADDRESS
    try:
        number = parse(phone, HOME)
    except NumberParseException:
        return phone, Why.NOT_A_NUMBER
    written = format_number(number, PhoneNumberFormat.E164)
    if is_test_number(written):
        return written, None
    if not is_valid_number(number):
        return phone, Why.NOT_A_NUMBER
    return written, None if number_type(number) in _TAKE_SMS else Why.NO_MOBILE


@dataclass(frozen=True, slots=True)
class NumberList:
    """Who may be sent an SMS. `entries` are in E.164; outside production they alone, or what a stand-in
    takes. In production nothing goes to a number that nobody has."""

    entries: frozenset[str] = frozenset()
    is_production: bool = False
    is_stand_in: bool = False
    is_on: bool = True

    def refusal(self, recipient: str) -> Why | None:
        mobile, why = mobile_of(recipient)
        if why is not None:
            return why
        if not self.is_on:
            return Why.CHANNEL_OFF
        if self.is_production:
            return Why.TEST_NUMBER if is_test_number(mobile) else None
        is_allowed = self.is_stand_in or mobile in self.entries
        return None if is_allowed else Why.NOT_ALLOWED_OUTSIDE_PROD
