"""What fields must look like, whoever they are of: cleaned, or refused with what to write instead."""

from __future__ import annotations

import re
import unicodedata

LONGEST_NAME = 200
LONGEST_EMAIL = 254

# What a mail server takes without quoting; nothing that could end a header line or begin another address.
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?P<host>[^@\s]+)")
_HOST_LABEL = re.compile(r"(?!-)[\w-]{1,63}(?<!-)")
_STRIPE_CUSTOMER = re.compile(r"cus_[A-Za-z0-9_]{1,250}")
_PHONE_SEPARATORS = re.compile(r"[\s.()/-]+")
_FRENCH_PHONE = re.compile(r"0[1-9]\d{8}", re.ASCII)
_WORLD_PHONE = re.compile(r"\+[1-9]\d{5,14}", re.ASCII)


class InvalidError(ValueError):
    """A value that is not acceptable; `code` is stable, the message (French) says what to write instead."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def clean_name(text: str) -> str:
    """Raises InvalidError."""
    name = " ".join(text.split())
    if not name:
        raise InvalidError("name_empty", "Le nom est vide : indiquez le nom de l'entreprise.")
    if len(name) > LONGEST_NAME:
        raise InvalidError("name_too_long", f"Le nom dépasse {LONGEST_NAME} caractères : abrégez-le.")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise InvalidError("name_unprintable", "Le nom contient un caractère de contrôle : retirez-le.")
    return name


def clean_email(text: str) -> str:
    """The address without surrounding blanks, its domain in lower case. Raises InvalidError."""
    email = text.strip()
    match = _EMAIL.fullmatch(email)
    if match is None or len(email) > LONGEST_EMAIL or not _is_host(match["host"]):
        raise InvalidError(
            "email_invalid",
            "Cette adresse e-mail n'est pas valide : écrivez-la sous la forme nom@domaine.fr.",
        )
    local = email[: match.start("host")]
    if local.startswith(".") or ".." in local or local.endswith(".@"):
        raise InvalidError(
            "email_invalid", "Cette adresse e-mail a un point mal placé : vérifiez ce qui précède l'arobase."
        )
    return local + match["host"].lower()


def _is_host(host: str) -> bool:
    labels = host.split(".")
    return len(labels) > 1 and all(_HOST_LABEL.fullmatch(label) for label in labels)


def clean_phone(text: str) -> str:
    """In international form, such as +33612345678. Raises InvalidError."""
    phone = _PHONE_SEPARATORS.sub("", text.replace("(0)", ""))
    if phone.startswith("00"):
        phone = "+" + phone[2:]
    if _FRENCH_PHONE.fullmatch(phone):
        phone = "+33" + phone[1:]
    if not _WORLD_PHONE.fullmatch(phone):
        raise InvalidError(
            "phone_invalid",
            "Ce numéro de téléphone n'est pas valide : écrivez-le 06 12 34 56 78 ou +33 6 12 34 56 78.",
        )
    return phone


def clean_stripe_customer_id(text: str) -> str:
    """Raises InvalidError."""
    if not _STRIPE_CUSTOMER.fullmatch(text):
        raise InvalidError(
            "stripe_customer_id_invalid",
            "Un identifiant de client Stripe commence par « cus_ » : recopiez-le.",
        )
    return text
