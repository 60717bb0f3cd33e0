"""The people of a company."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from services.admin_api.domain.fields import InvalidError


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody of a company. At least one of the names is there."""

    contact_id: UUID
    company_id: UUID
    first_name: str
    last_name: str
    email: str | None
    phone: str | None
    role: str | None


def check_contact(contact: Contact) -> None:
    """Raises InvalidError for somebody without any name."""
    if not contact.first_name and not contact.last_name:
        raise InvalidError("contact_without_name", "Indiquez un prénom ou un nom.")
