"""Which links may be shortened, and which messages carry the short ones.

A short link is a few letters that anybody may guess: what opens something for whoever has it is never given
away to a shortener. In doubt the answer is no, and the message carries the long link.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

LONGEST_URL = 2000


class WhyNot(StrEnum):
    """Why a link is not shortened."""

    NOT_A_LINK = "not_a_link"
    HOLDS_A_LOGIN = "holds_a_login"
    OPENS_SOMETHING = "opens_something"
    HOLDS_A_TOKEN = "holds_a_token"  # noqa: S105 - a reason, not a password


# Links of ours to pay (billing) and to unsubscribe (notifications), signed, for whoever holds them; and what
# other people's links of that sort are called.
_OPENING = frozenset(
    {
        "pay", "u", "unsubscribe", "desinscription", "reset", "invite", "invitation", "magic", "verify",
        "confirm", "confirmation", "activate", "activation", "token", "share",
    }
)  # fmt: skip

# Stripe's invoices, portals and payment pages open without a login.
_STRANGERS = ("stripe.com", "stripe.network")

_NAMES = re.compile(
    r"token|secret|sig|key|auth|pass|pwd|code|session|jwt|otp|hash|hmac|ticket|invit|magic|reset|verif|access",
    re.IGNORECASE,
)

# Runs of what tokens are made of, and the words of a run.
_RUN = re.compile(r"[A-Za-z0-9_~=+-]+")
_WORD = re.compile(r"[A-Za-z0-9]+")
_DIGIT, _SMALL, _LARGE = re.compile(r"\d"), re.compile(r"[a-z]"), re.compile(r"[A-Z]")
# Where a word goes on as something else: small letters as large ones, letters as digits, digits as letters.
_CHANGE = re.compile(r"(?<=[a-z])[A-Z]|(?<=[A-Za-z])\d|(?<=\d)[A-Za-z]")
MOST_CHANGES = 4
_PLAIN_ID = re.compile(r"(?:id)?\d{1,12}")
LONGEST_WORD = 25
"""Letters of the longest French word; what is longer is none."""
SHORTEST_MIXED, SHORTEST_OF_BOTH_SIZES, SHORTEST_RUN = 8, 12, 16


def why_not(url: str) -> WhyNot | None:
    """None: a shortener may know it."""
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url or "\\" in url:
        return WhyNot.NOT_A_LINK
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower().rstrip(".")
    except ValueError:
        return WhyNot.NOT_A_LINK
    if parts.scheme not in ("http", "https") or not host:
        return WhyNot.NOT_A_LINK
    if "@" in parts.netloc:
        return WhyNot.HOLDS_A_LOGIN
    if any(host == stranger or host.endswith(f".{stranger}") for stranger in _STRANGERS):
        return WhyNot.OPENS_SOMETHING
    if _OPENING & {_unquoted(piece).lower() for piece in re.split(r"[/#]", f"{parts.path}#{parts.fragment}")}:
        return WhyNot.OPENS_SOMETHING
    return WhyNot.HOLDS_A_TOKEN if _holds_a_token(parts) else None


def _holds_a_token(parts: SplitResult) -> bool:
    queries = f"{parts.query}&{parts.fragment.partition('?')[2] or parts.fragment}"
    if any(_NAMES.search(_unquoted(name)) for name, _ in parse_qsl(queries, keep_blank_values=True)):
        return True
    told = _unquoted(f"{parts.netloc.partition(':')[0]}/{parts.path}?{parts.query}#{parts.fragment}")
    return len(_CHANGE.findall(told)) >= MOST_CHANGES or any(_is_opaque(run) for run in _RUN.findall(told))


def _is_opaque(run: str) -> bool:
    """What no words look like: `offre-30-pourcent` is words, `0d9e6ac0-7f1b` and `aGVsbG8gd29y` are not."""
    if len(run) >= SHORTEST_RUN and _SMALL.search(run) and _LARGE.search(run):
        return True
    return any(_is_opaque_word(word) for word in _WORD.findall(run))


def _is_opaque_word(word: str) -> bool:
    if _PLAIN_ID.fullmatch(word):
        return False
    if len(word) > LONGEST_WORD or word.isdigit():
        return True
    has_letters = bool(_SMALL.search(word) or _LARGE.search(word))
    if len(word) >= SHORTEST_MIXED and has_letters and _DIGIT.search(word):
        return True
    return len(word) >= SHORTEST_OF_BOTH_SIZES and bool(_SMALL.search(word) and _LARGE.search(word))


def _unquoted(text: str) -> str:
    """However often it was escaped."""
    for _ in range(3):
        text = unquote(text)
    return text


def links_in(context: Mapping[str, Any]) -> set[str]:
    """The links of a message that may be shortened: whole values, none that is inside another text."""
    return {value for value in context.values() if isinstance(value, str) and _is_candidate(value)}


def _is_candidate(value: str) -> bool:
    return value.startswith(("http://", "https://")) and why_not(value) is None


def with_short_links(context: Mapping[str, Any], short: Mapping[str, str]) -> dict[str, Any]:
    """The same context with the links that are known to be shorter."""
    return {
        name: _shorter(value, short) if isinstance(value, str) else value for name, value in context.items()
    }


def _shorter(value: str, short: Mapping[str, str]) -> str:
    short_url = short.get(value)
    return short_url if short_url is not None and len(short_url) < len(value) else value
