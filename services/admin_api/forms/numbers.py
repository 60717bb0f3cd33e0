"""Phone numbers, as callers send and get them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from services.admin_api import domain
from services.admin_api.domain import InvalidError
from services.admin_api.forms.companies import LARGEST_LEGACY_ID
from services.admin_api.forms.fields import by
from services.admin_api.problems import OUR_OWN, invalid

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class StockForm(BaseModel):
    """Numbers that we may give from now on, in any writing."""

    model_config = ConfigDict(extra="forbid")

    numbers: Annotated[list[str], Field(min_length=1, max_length=domain.MOST_AT_ONCE)]

    def cleaned(self) -> list[str]:
        """Raises Problem, naming the first that is none."""
        try:
            return domain.clean_numbers(self.numbers)
        except InvalidError as error:
            raise invalid([{"code": error.code, "where": "numbers", "message": str(error)}]) from error


class StockAnswer(BaseModel):
    """`known` were in the directory before."""

    stocked: int
    known: int


class AssignForm(BaseModel):
    """This number, or any free one that begins so."""

    model_config = ConfigDict(extra="forbid")

    number: Annotated[str, by(domain.clean_phone)] | None = None
    prefix: Annotated[str, by(domain.clean_prefix)] | None = None
    legacy_contract_id: Annotated[int, Field(ge=1, le=LARGEST_LEGACY_ID)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.number is None) == (self.prefix is None):
            message = "Indiquez un numéro ou un début de numéro, et un seul des deux."
            raise PydanticCustomError(OUR_OWN + "number_or_prefix", "{message}", {"message": message})
        return self


class ReleaseForm(BaseModel):
    """Who takes a number back, and why: kept with it, and told."""

    model_config = ConfigDict(extra="forbid")

    requested_by: Words
    reason: Words


class NumberAnswer(BaseModel):
    """`tc` is the line's short reference."""

    model_config = ConfigDict(from_attributes=True)

    number: str
    tc: int
    company_id: UUID | None
    assigned_at: datetime | None
    free_from: datetime | None
    legacy_contract_id: int | None


class AssignmentAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    number: str
    assigned_at: datetime
    released_at: datetime | None
    why: str | None
    released_by: str | None


class NumbersAnswer(BaseModel):
    """What a company has, and everything that it had, newest first."""

    numbers: list[NumberAnswer]
    history: list[AssignmentAnswer]
