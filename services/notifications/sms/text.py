"""The text of an SMS: the kind's `sms.txt`, and letters that an SMS has where that saves a part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libs.common.errors import PermanentFailure
from services.notifications.mail.rendering import render_text
from services.notifications.sms.encoding import Measure, measure
from services.notifications.sms.transliteration import transliterate

MOST_PARTS = 6
"""Longer ones are refused: it is a mail that was meant."""


@dataclass(frozen=True, slots=True)
class SmsText:
    """What will be sent, and what it is in parts."""

    text: str
    measure: Measure


def render(kind: str, context: Mapping[str, Any], *, is_full: bool) -> str:
    """The template says with `is_full` what it adds where there is room for it."""
    lines = render_text(f"{kind}/sms.txt", {**context, "is_full": is_full}).splitlines()
    return "\n".join(" ".join(line.split(" ")).strip() for line in lines).strip()


def build_sms(kind: str, context: Mapping[str, Any], *, is_transliterated: bool) -> SmsText:
    """The full text where it takes no more parts than the short one. Raises PermanentFailure for a kind
    without `sms.txt`, for a context that lacks something, and for a text of too many parts."""
    full, short = (
        _fitted(render(kind, context, is_full=is_full), is_transliterated=is_transliterated)
        for is_full in (True, False)
    )
    chosen = full if full.measure.parts <= short.measure.parts else short
    if not chosen.text or chosen.measure.parts > MOST_PARTS:
        raise PermanentFailure(
            f"an SMS of kind {kind} has {chosen.measure.parts} parts, {MOST_PARTS} at most"
        )
    return chosen


def _fitted(text: str, *, is_transliterated: bool) -> SmsText:
    as_it_is = SmsText(text, measure(text))
    if not is_transliterated or not as_it_is.measure.offenders:
        return as_it_is
    written = transliterate(text)
    otherwise = SmsText(written, measure(written))
    return otherwise if otherwise.measure.parts < as_it_is.measure.parts else as_it_is
