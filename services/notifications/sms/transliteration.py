"""The same text in letters of GSM-7: `ê` becomes `e`, `’` becomes `'`, `« »` become `" "`."""

from __future__ import annotations

import re
import unicodedata

from anyascii import anyascii

from services.notifications.sms.encoding import is_gsm7

# French puts a space inside its quotation marks; straight ones have none.
_OPENING = re.compile(r"[«“„][\s\u00a0\u202f]*")
_CLOSING = re.compile(r"[\s\u00a0\u202f]*[»”]")
# What anyascii writes and GSM-7 has not.
_LEFT_OVER = {"`": "'"}


def transliterate(text: str) -> str:
    """Only letters that are not in GSM-7 change; the answer has none of them left."""
    quoted = _CLOSING.sub('"', _OPENING.sub('"', unicodedata.normalize("NFC", text)))
    return "".join(letter if is_gsm7(letter) else _written(letter) for letter in quoted)


def _written(letter: str) -> str:
    if letter.isspace():
        return "\n" if letter in "\u2028\u2029" else " "
    written = (_LEFT_OVER.get(each, each) for each in anyascii(letter))
    return "".join(each for each in written if is_gsm7(each))
