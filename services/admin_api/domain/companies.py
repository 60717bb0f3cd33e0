"""Companies: registered once, changed afterwards; when two registrations are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from libs.common.events import provisional_company_id
from libs.common.events.directory import CompanyRegistered, CompanyUpdated
from services.admin_api.domain.fields import InvalidError

CHANGEABLE = ("name", "email", "phone")
EARLIEST_REGISTRATION = datetime(1970, 1, 1, tzinfo=UTC)
# Clocks of two machines differ; more than that is a mistake.
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Company:
    """A company as the directory has it."""

    company_id: UUID
    name: str
    email: str
    phone: str | None
    stripe_customer_id: str | None
    legacy_enterprise_id: int | None
    registered_at: datetime


@dataclass(frozen=True, slots=True)
class Registration:
    """A company as somebody registers it. Without `registered_at`: now; without `company_id`: a new one."""

    name: str
    email: str
    phone: str | None
    stripe_customer_id: str | None
    legacy_enterprise_id: int | None
    registered_at: datetime | None
    company_id: UUID | None


def check_registered_at(moment: datetime, now: datetime) -> None:
    """Raises InvalidError."""
    if moment < EARLIEST_REGISTRATION or moment > now + CLOCK_TOLERANCE:
        raise InvalidError(
            "registered_at_out_of_range",
            "La date d'inscription doit être comprise entre 1970 et maintenant : corrigez-la.",
        )


def register(registration: Registration, company_id: UUID, now: datetime) -> Company:
    """Raises InvalidError when its date cannot be."""
    if registration.registered_at is not None:
        check_registered_at(registration.registered_at, now)
    return Company(
        company_id=company_id,
        name=registration.name,
        email=registration.email,
        phone=registration.phone,
        stripe_customer_id=registration.stripe_customer_id,
        legacy_enterprise_id=registration.legacy_enterprise_id,
        registered_at=(registration.registered_at or now).astimezone(UTC),
    )


def differences(known: Company, registration: Registration) -> list[str]:
    """The fields in which a repeated registration is not the one that is known; none: it is the same."""
    names = ["name", "email", "phone", "stripe_customer_id", "legacy_enterprise_id"]
    if registration.registered_at is not None:
        names.append("registered_at")
    return [name for name in names if getattr(known, name) != getattr(registration, name)]


def company_registered(company: Company) -> CompanyRegistered:
    return CompanyRegistered(
        company_id=company.company_id,
        name=company.name,
        email=company.email,
        phone=company.phone,
        stripe_customer_id=company.stripe_customer_id,
        legacy_enterprise_id=company.legacy_enterprise_id,
        registered_at=company.registered_at,
    )


def ids_in_facts(company_id: UUID, stripe_customer_id: str | None) -> list[UUID]:
    """Under which company ids facts about it were told: before its Stripe customer was known as its own,
    the provisional one's."""
    if stripe_customer_id is None:
        return [company_id]
    return [company_id, provisional_company_id(stripe_customer_id)]


def changed(known: Company, changes: Mapping[str, str]) -> Company:
    """The company with what is given; what is not stays as it was."""
    return replace(
        known,
        name=changes.get("name", known.name),
        email=changes.get("email", known.email),
        phone=changes.get("phone", known.phone),
    )


def company_updated(known: Company, company: Company, now: datetime) -> CompanyUpdated | None:
    """What became different; None when nothing did."""
    different = {
        name: getattr(company, name) for name in CHANGEABLE if getattr(known, name) != getattr(company, name)
    }
    if not different:
        return None
    return CompanyUpdated(company_id=known.company_id, updated_at=now, **different)
