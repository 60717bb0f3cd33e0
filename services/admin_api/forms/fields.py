"""Fields cleaned by the domain's own functions."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from services.admin_api.domain import InvalidError
from services.admin_api.problems import OUR_OWN


def by(clean: Callable[[str], str]) -> AfterValidator:
    """A field cleaned by one of our own functions, whose refusal is the field's error."""

    def check(text: str) -> str:
        try:
            return clean(text)
        except InvalidError as error:
            # As a value, not as the template: braces in it are nobody's placeholders.
            raise PydanticCustomError(OUR_OWN + error.code, "{message}", {"message": str(error)}) from error

    return AfterValidator(check)
