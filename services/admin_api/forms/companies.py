"""Companies and their people, as callers send and get them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from services.admin_api import domain
from services.admin_api.auth.callers import Caller
from services.admin_api.domain import Contact, InvalidError, Registration
from services.admin_api.forms.fields import by
from services.admin_api.problems import invalid

LARGEST_LEGACY_ID = 2**63 - 1

ShortText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)]


class CompanyForm(BaseModel):
    """A company to register. With `company_id`, sending it again registers nothing twice."""

    model_config = ConfigDict(extra="forbid", strict=False)

    name: Annotated[str, by(domain.clean_name)]
    email: Annotated[str, by(domain.clean_email)]
    phone: Annotated[str, by(domain.clean_phone)] | None = None
    stripe_customer_id: Annotated[str, by(domain.clean_stripe_customer_id)] | None = None
    legacy_enterprise_id: Annotated[int, Field(ge=1, le=LARGEST_LEGACY_ID)] | None = None
    registered_at: AwareDatetime | None = None
    company_id: UUID | None = None

    def registration(self) -> Registration:
        return Registration(**self.model_dump())


class CompanyAnswer(BaseModel):
    """A company of the directory."""

    model_config = ConfigDict(from_attributes=True)

    company_id: UUID
    name: str
    email: str
    phone: str | None
    stripe_customer_id: str | None
    legacy_enterprise_id: int | None
    registered_at: datetime

    def seen_by(self, caller: Caller) -> CompanyAnswer:
        """Without personal data for those from whom they are hidden."""
        if not caller.is_masked:
            return self
        phone = self.phone and domain.mask_phone(self.phone)
        return self.model_copy(update={"email": domain.mask_email(self.email), "phone": phone})


class CompanyChangeForm(BaseModel):
    """What is to be different; what is not given stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, by(domain.clean_name)] = ""
    email: Annotated[str, by(domain.clean_email)] = ""
    phone: Annotated[str, by(domain.clean_phone)] = ""

    def changes(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class ContactForm(BaseModel):
    """Somebody of a company."""

    model_config = ConfigDict(extra="forbid")

    first_name: ShortText = ""
    last_name: ShortText = ""
    email: Annotated[str, by(domain.clean_email)] | None = None
    phone: Annotated[str, by(domain.clean_phone)] | None = None
    role: ShortText | None = None

    def contact(self, company_id: UUID, contact_id: UUID) -> Contact:
        """Raises Problem for somebody without a name."""
        contact = Contact(contact_id=contact_id, company_id=company_id, **self.model_dump())
        try:
            domain.check_contact(contact)
        except InvalidError as error:
            raise invalid([{"code": error.code, "where": "last_name", "message": str(error)}]) from error
        return contact


class ContactAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    contact_id: UUID
    first_name: str
    last_name: str
    email: str | None
    phone: str | None
    role: str | None

    def seen_by(self, caller: Caller) -> ContactAnswer:
        """Without personal data for those from whom they are hidden."""
        if not caller.is_masked:
            return self
        masked = {
            "first_name": domain.mask_name(self.first_name),
            "last_name": domain.mask_name(self.last_name),
            "email": self.email and domain.mask_email(self.email),
            "phone": self.phone and domain.mask_phone(self.phone),
        }
        return self.model_copy(update=masked)


class ContactsAnswer(BaseModel):
    """In the order in which they came; the first is the main one."""

    contacts: list[ContactAnswer]
