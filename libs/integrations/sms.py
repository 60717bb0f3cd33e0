"""What an SMS provider is to us: the one interface that each of them fills, and its words as ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sms:
    """One SMS. `recipient` is in E.164 (+33612345678), `sender` what the phone shows; `reference` is ours and
    comes back in every word about it; `is_stop_wanted` has the provider add its own STOP mention."""

    recipient: str
    text: str
    sender: str
    reference: str
    is_stop_wanted: bool = False


@dataclass(frozen=True, slots=True)
class SmsAccepted:
    """The provider took it. `provider_id` is its own name for it."""

    provider_id: str
    text: str

    def __str__(self) -> str:
        return self.text


class SmsState(StrEnum):
    """What a provider knows of an SMS that it took. `UNDER_WAY`: nothing new, which any unknown word is."""

    UNDER_WAY = "under_way"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class SmsReport:
    """A provider's word about one SMS. `is_number_dead`: the number takes none, and never will."""

    provider_id: str
    reference: str | None
    state: SmsState
    text: str
    is_number_dead: bool = False


@dataclass(frozen=True, slots=True)
class SmsReply:
    """Somebody answered: `number` in E.164 as far as it is one."""

    provider_id: str
    number: str
    text: str


class SmsProvider(Protocol):
    """Filled by a class named after the provider, such as Smsmode."""

    def room(self, wanted: int) -> int:
        """How many may be begun now: as its pace allows; none while it asks to be left alone."""

    def give_back_room(self) -> None:
        """Nothing was there to be begun."""

    async def send(self, sms: Sms) -> SmsAccepted:
        """Raises TemporaryFailure (surely not taken), PermanentFailure (this one never will be),
        UnknownOutcome (the answer was lost after the request had left)."""

    async def find(self, reference: str, *, since: datetime) -> SmsReport | None:
        """What it knows under our reference; None: it lists none from since then. Raises TemporaryFailure.

        None proves nothing right after a send: providers list what they took with a delay.
        """

    async def close(self) -> None: ...
