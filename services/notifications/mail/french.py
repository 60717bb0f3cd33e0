"""Amounts, dates and links as they stand in our mails: French typography, safe whatever the data says."""

from __future__ import annotations

import re
from datetime import date, datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
NO_BREAK_SPACE = "\u00a0"
NARROW_NO_BREAK_SPACE = "\u202f"
MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin",
    "juillet", "août", "septembre", "octobre", "novembre", "décembre",
)  # fmt: skip
SYMBOLS = {"eur": "€", "usd": "$", "gbp": "£", "chf": "CHF", "cad": "$CA"}
# Stripe counts these in whole units: https://docs.stripe.com/currencies#zero-decimal
ZERO_DECIMAL = frozenset(
    {
        "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga",
        "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf",
    }
)  # fmt: skip

_FRENCH_NUMBER = re.compile(r"\+33[1-9]\d{8}")

# C0 and C1 controls, line and paragraph separators, what turns text around (bidi), lone surrogates.
_UNWANTED = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+"
)


def money(cents: int, currency: str) -> str:
    """`1 012,90 €`: cents is in the currency's smallest unit."""
    code = currency.lower()
    units, rest = (abs(cents), "") if code in ZERO_DECIMAL else (abs(cents) // 100, f",{abs(cents) % 100:02}")
    sign = "−" if cents < 0 else ""
    grouped = f"{units:,}".replace(",", NARROW_NO_BREAK_SPACE)
    return f"{sign}{grouped}{rest}{NO_BREAK_SPACE}{SYMBOLS.get(code, code.upper())}"


def long_date(moment: datetime | date | str) -> str:
    """`23 novembre 2026`, in Paris; a text is read as ISO 8601. Raises ValueError for a naive moment."""
    day = _day(_read(moment) if isinstance(moment, str) else moment)
    number = "1er" if day.day == 1 else str(day.day)
    return f"{number}{NO_BREAK_SPACE}{MONTHS[day.month - 1]}{NO_BREAK_SPACE}{day.year}"


def moment_of_day(moment: datetime | str) -> str:
    """`23 novembre 2026 à 11 h 05`, in Paris. Raises ValueError for a naive moment."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    time = f"{at.astimezone(PARIS):%H}{NO_BREAK_SPACE}h{NO_BREAK_SPACE}{at.astimezone(PARIS):%M}"
    return f"{long_date(at)} à {time}"


def phone(number: str) -> str:
    """`01 40 00 00 00` for a French number in E.164; any other as it is."""
    if not _FRENCH_NUMBER.fullmatch(number):
        return number
    digits = "0" + number.removeprefix("+33")
    return NO_BREAK_SPACE.join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _read(moment: str) -> datetime | date:
    is_day = len(moment) == len("2026-11-23")
    return date.fromisoformat(moment) if is_day else datetime.fromisoformat(moment)


def _day(moment: datetime | date) -> date:
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone has no day in Paris")
    return moment.astimezone(PARIS).date()


def web_link(url: str | None) -> str | None:
    """The address when a browser may open it, else None: no javascript:, no data:, no half address."""
    if not url or _UNWANTED.search(url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("https", "http") and parts.hostname else None


def one_line(text: str) -> str:
    """The text without what could break a line, a header or the direction of reading."""
    if text.isprintable():  # all of that is not; most texts have none of it
        return text.strip()
    return " ".join(_UNWANTED.sub(" ", text).split(" ")).strip()
