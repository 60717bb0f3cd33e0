"""What a fact is: a typed value with a key (whose order it keeps) and an id (what makes it the same fact)."""

from __future__ import annotations

from hashlib import sha1
from typing import ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from libs.common.errors import PermanentFailure

# Every id in Relance is derived from this one, so that the same fact gets the same id on every machine.
NAMESPACE = UUID("6f1c8a52-0d0f-5b7e-9c55-5e3b9f0e7a11")

_NAMESPACE_SHA1 = sha1(NAMESPACE.bytes, usedforsecurity=False)

EVENTS: dict[str, type[Event]] = {}
"""Every declared event class by its wire type, such as `billing.invoice_paid.v1`."""


def uuid_of(text: str) -> UUID:
    """`uuid5(NAMESPACE, text)`, at half its cost: it is drawn for every event that comes or goes."""
    digest = _NAMESPACE_SHA1.copy()
    digest.update(text.encode())
    return UUID(bytes=digest.digest()[:16], version=5)


class Event(BaseModel):
    """Something that happened. The first line of a subclass's docstring is its sentence in `relance topics`.

    `identity` names the fields that make two tellings the same fact; the event id is a uuid5 of them.
    Fields may be added if they are optional; anything else is a new version of the type.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    identity: ClassVar[tuple[str, ...]]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        if "type" in cls.__dict__:
            EVENTS[cls.type] = cls

    @classmethod
    def teller(cls) -> str:
        """The service that tells this fact; `any` for what every service may tell."""
        return cls.type.split(".", 1)[0]

    @classmethod
    def sentence(cls) -> str:
        return (cls.__doc__ or "").strip().splitlines()[0]

    @property
    def key(self) -> str:
        """The Kafka key: facts with the same key keep their order."""
        raise TypeError(f"{type(self).__name__} must say what its key is")

    @property
    def event_id(self) -> UUID:
        values = "|".join(_escaped(str(getattr(self, name))) for name in self.identity)
        return uuid_of(f"{self.type}|{values}")

    def to_bytes(self) -> bytes:
        return self.model_dump_json().encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises PermanentFailure, naming the fields, when the bytes are not this event."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()[:5]
            )
            raise PermanentFailure(f"{cls.type} does not parse: {wrong}") from error


def _escaped(text: str) -> str:
    """Without it, ("a|b", "c") and ("a", "b|c") would be the same fact."""
    return text.replace("\\", "\\\\").replace("|", "\\|")


class CompanyEvent(Event):
    """A fact about one company: everything told about it stays in order."""

    company_id: UUID

    @property
    def key(self) -> str:
        return str(self.company_id)


def provisional_company_id(stripe_customer_id: str) -> UUID:
    """The company of a Stripe customer whom nobody knows yet."""
    return uuid_of(f"provisional_company|{stripe_customer_id}")
