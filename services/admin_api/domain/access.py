"""Who may do what: roles of people, scopes of keys, and what of a customer a reader is shown."""

from __future__ import annotations

import re
from enum import StrEnum

from services.admin_api.domain.fields import InvalidError

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200
LONGEST_REASON = 500


class Role(StrEnum):
    """What somebody may do; each role may do what those before it may."""

    READER = "reader"
    SUPPORT = "support"
    BILLING = "billing"
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        order = list(Role)
        return order.index(self) >= order.index(other)


class Scope(StrEnum):
    """What an API key opens; each by itself."""

    READ = "read"
    DIRECTORY = "directory"
    NUMBERS = "numbers"
    WISHES = "wishes"


def check_password(password: str, email: str) -> None:
    """Raises InvalidError for one that is too easily guessed, or that nobody types."""
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidError(
            "password_too_short", f"Le mot de passe doit compter au moins {SHORTEST_PASSWORD} caractères."
        )
    if len(password) > LONGEST_PASSWORD:
        raise InvalidError(
            "password_too_long", f"Le mot de passe ne peut dépasser {LONGEST_PASSWORD} caractères."
        )
    lowered = password.lower()
    if len(set(lowered)) < SHORTEST_PASSWORD // 2 or email.partition("@")[0].lower() in lowered:
        raise InvalidError(
            "password_too_simple",
            "Ce mot de passe se devine : ni votre adresse, ni quelques caractères répétés.",
        )


def clean_reason(text: str) -> str:
    """Why somebody does something, as the audit keeps it. Raises InvalidError for none."""
    reason = " ".join(text.split())
    if not reason:
        raise InvalidError("reason_empty", "Indiquez pourquoi : le motif est gardé dans le journal.")
    if len(reason) > LONGEST_REASON:
        raise InvalidError("reason_too_long", f"Le motif dépasse {LONGEST_REASON} caractères : abrégez-le.")
    return reason


HIDDEN = "•••"
# The first letter stays: enough to recognize an address that one knows, not to learn it.
_EMAIL = re.compile(r"([\w.!#$%&'*+/=?^`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]*@([\w-])[\w-]*((?:\.[\w-]+)+)")
# Begins as numbers do, so that a date or an id is none.
_PHONE = re.compile(r"(?<![\w-])(?:\+\d|0)(?:[ .()-]{0,2}\d){6,13}[ .()-]{0,2}(\d\d)(?!\w)", re.ASCII)


def mask_email(email: str) -> str:
    return _EMAIL.sub(rf"\1{HIDDEN}@\2{HIDDEN}\3", email) if "@" in email else HIDDEN


def mask_phone(phone: str) -> str:
    """Its last two digits."""
    return f"{HIDDEN} {phone[-2:]}"


def mask_name(name: str) -> str:
    """The initials of a person: « Jean Martin » is « J••• M••• »."""
    return " ".join(word[0] + HIDDEN for word in name.split())


def mask_words(text: str) -> str:
    """Free text, such as a mail server's answer, without the addresses and phone numbers in it."""
    return _PHONE.sub(rf"{HIDDEN} \1", mask_email(text) if "@" in text else text)
