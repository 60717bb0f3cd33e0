"""Phone numbers of ours (« SDA »): in stock, a company's, resting after a release."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.events.directory import NumberAssigned, NumberReleased, NumberStocked
from services.admin_api.domain.fields import InvalidError, clean_phone

_PREFIX = re.compile(r"\+\d{0,15}", re.ASCII)
MOST_AT_ONCE = 10_000


def clean_prefix(text: str) -> str:
    """The beginning of numbers in international form: `01 84` is `+33184`. Raises InvalidError."""
    digits = re.sub(r"[\s.()/-]+", "", text)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    elif digits.startswith("0"):
        digits = "+33" + digits[1:]
    if not _PREFIX.fullmatch(digits):
        raise InvalidError(
            "prefix_invalid", "Ce début de numéro n'est pas valide : écrivez-le 01 84 ou +33 1 84."
        )
    return digits


def clean_numbers(texts: list[str]) -> list[str]:
    """Each once, in order. Raises InvalidError for the first that is none, naming it."""
    numbers: dict[str, None] = {}
    for text in texts:
        try:
            numbers[clean_phone(text)] = None
        except InvalidError as error:
            raise InvalidError(error.code, f"« {text[:40]} » : {error}") from error
    return list(numbers)


def stocked(number: str, now: datetime) -> NumberStocked:
    return NumberStocked(number=number, stocked_at=now)


def assigned(number: str, company_id: UUID, legacy_contract_id: int | None, now: datetime) -> NumberAssigned:
    return NumberAssigned(
        company_id=company_id, number=number, assigned_at=now, legacy_contract_id=legacy_contract_id
    )


def released(number: str, company_id: UUID, why: str, now: datetime) -> NumberReleased:
    return NumberReleased(company_id=company_id, number=number, released_at=now, why=why)


def free_from(now: datetime, rest: timedelta) -> datetime:
    """A number that was somebody's rests, so that the next one does not get his calls."""
    return now + rest
