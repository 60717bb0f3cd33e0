"""Whom a suppression is about: an address, a domain or a number, each written in one way only."""

from __future__ import annotations

import re

from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, is_possible_number, parse

from libs.common.errors import PermanentFailure
from libs.integrations.smtp import ascii_address
from services.notifications.domain.deliveries import Channel

HOME = "FR"
LONGEST = 320
# Nothing that ends a line, turns text around or stands beside the address.
_ADDRESS = re.compile(r"[^\s<>(),;:\"\x00-\x1f\x7f]+@[^\s<>(),;:\"\x00-\x1f\x7f]+")
_NUMBER = re.compile(r"\+?[\d\s().\u00a0\u202f/-]+", re.ASCII)


class NoTargetError(ValueError):
    """What was written is neither an address, nor a domain, nor a number; the message is French."""


def target_of(text: str) -> str:
    """`anne@exemple.fr`, `@exemple.fr`, `+33612345678`: lower case, domains in ASCII, numbers in E.164.

    Raises NoTargetError, which says what to write instead.
    """
    written = text.strip()
    if "@" in written:
        return _domain(written) if written.startswith("@") else _address(written)
    return _number(written)


def targets_of(channel: str, recipient: str | None) -> tuple[str, ...]:
    """What a suppression of this recipient may be written as, the narrowest first; none for one that nothing
    could be sent to."""
    try:
        target = target_of(recipient or "")
    except NoTargetError:
        return ()
    if (channel == Channel.SMS) is not is_number(target):
        return ()
    return (target,) if is_number(target) else (target, f"@{target.rpartition('@')[2]}")


def is_number(target: str) -> bool:
    return target.startswith("+")


def masked(target: str) -> str:
    """`a•••@exemple.fr`, `+33•••••78`: enough for whoever it is to know it."""
    if is_number(target):
        return f"{target[:3]}•••••{target[-2:]}"
    local_part, _, domain = target.rpartition("@")
    return f"{local_part[:1]}•••@{domain}"


def _address(text: str) -> str:
    try:
        is_one = len(text) <= LONGEST and _ADDRESS.fullmatch(text) is not None
        address = ascii_address(text).lower() if is_one else ""
    except PermanentFailure:
        address = ""
    if "." not in address.rpartition("@")[2]:
        raise NoTargetError(
            "Cette adresse e-mail n'est pas valide : écrivez-la sous la forme nom@domaine.fr, seule."
        )
    return address


def _domain(text: str) -> str:
    try:
        return "@" + _address(f"x{text}").rpartition("@")[2]
    except NoTargetError as error:
        raise NoTargetError(
            "Ce domaine n'est pas valide : écrivez-le sous la forme @domaine.fr, sans rien d'autre."
        ) from error


def _number(text: str) -> str:
    try:
        number = parse(text, HOME) if len(text) <= LONGEST and _NUMBER.fullmatch(text) else None
    except NumberParseException:
        number = None
    if number is None or not is_possible_number(number):
        raise NoTargetError(
            "Ce n'est ni une adresse (nom@domaine.fr), ni un domaine (@domaine.fr), ni un numéro "
            "(06 12 34 56 78 ou +33 6 12 34 56 78) : corrigez-le."
        )
    return format_number(number, PhoneNumberFormat.E164)
