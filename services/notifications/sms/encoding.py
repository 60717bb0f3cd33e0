"""What an SMS costs in parts: GSM-7 where every letter is in it, else UCS-2, for all of it.

Of the letters of French, `é è à ù ì ò Ç É Ä Ö Ñ Ü` are in GSM-7 (3GPP TS 23.038) and `ê â î ô û ë ï ç œ À È`,
the typographic apostrophe, guillemets and non-breaking spaces are not: one of them turns 160 letters a part
into 70.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from gsm0338 import Codec

ESCAPE = "\x1b"
_codec = Codec()


class Encoding(StrEnum):
    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


ALONE = {Encoding.GSM7: 160, Encoding.UCS2: 70}
"""Units of a message that is one part."""
JOINED = {Encoding.GSM7: 153, Encoding.UCS2: 67}
"""Units of each part of a longer one: the rest of it says which part it is."""


@dataclass(frozen=True, slots=True)
class Offender:
    """A letter that is not in GSM-7, its Unicode name, and where it stands (from 0)."""

    letter: str
    name: str
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """`units` are septets (GSM-7) or 16-bit words (UCS-2); `left` fit into the last part still."""

    encoding: Encoding
    units: int
    parts: int
    left: int
    offenders: tuple[Offender, ...] = ()

    def price_cents(self, part_price_cents: Decimal) -> Decimal:
        return part_price_cents * self.parts


def measure(text: str, *, appended: int = 0) -> Measure:
    """`appended` GSM-7 letters are added by the provider, such as its STOP mention."""
    offenders = tuple(_offenders(text))
    encoding = Encoding.UCS2 if offenders else Encoding.GSM7
    widths = [*_widths(text, encoding), *[1] * appended]
    units = sum(widths)
    if units <= ALONE[encoding]:
        return Measure(encoding, units, 1, ALONE[encoding] - units, offenders)
    parts, left = _in_parts(widths, JOINED[encoding])
    return Measure(encoding, units, parts, left, offenders)


def is_gsm7(letter: str) -> bool:
    return bool(_septets(letter))


def _septets(letter: str) -> int:
    """1, 2 for one of the extension table, 0 for one that is not in GSM-7."""
    if letter == ESCAPE:
        return 0
    try:
        return len(_codec.encode(letter)[0])
    except UnicodeEncodeError:
        return 0


def _widths(text: str, encoding: Encoding) -> Iterator[int]:
    for letter in text:
        yield _septets(letter) if encoding is Encoding.GSM7 else 1 + (ord(letter) > 0xFFFF)  # noqa: PLR2004


def _in_parts(widths: Sequence[int], size: int) -> tuple[int, int]:
    """How many, and what is left in the last: a letter of two units is never cut in two."""
    parts, left = 1, size
    for width in widths:
        if width > left:
            parts, left = parts + 1, size
        left -= width
    return parts, left


def _offenders(text: str) -> Iterator[Offender]:
    found: dict[str, list[int]] = {}
    for position, letter in enumerate(text):
        if not is_gsm7(letter):
            found.setdefault(letter, []).append(position)
    for letter, positions in found.items():
        yield Offender(letter, unicodedata.name(letter, f"U+{ord(letter):04X}"), tuple(positions))
