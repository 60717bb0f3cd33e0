"""What is wanted of a company's lines, as facts say it. The phone platform does it, or says why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from libs.common.events.billing import LineCut, LineRestored, LineRestricted
from libs.common.events.directory import NumberReleased
from libs.common.events.event import uuid_of

# Reachable whatever is wanted: SAMU, police, fire brigade, Europe's, by text for the deaf, the homeless, a
# child in danger, the sea.
EMERGENCY_NUMBERS = ("15", "17", "18", "112", "114", "115", "119", "196")

LineFact = LineRestricted | LineCut | LineRestored | NumberReleased


class Wanted(StrEnum):
    NORMAL = "normal"
    RESTRICTED = "restricted"
    CUT = "cut"
    NUMBER_RELEASED = "number_released"


class WishState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Wish:
    """`key` is made of facts: company, episode and transition, or company, number and release."""

    company_id: UUID
    wanted: Wanted
    key: str
    why: str
    since: UUID
    since_at: datetime
    episode: int | None = None
    number: str | None = None

    @property
    def wish_id(self) -> UUID:
        return uuid_of(f"line_wish|{self.key}")


def wish_of(fact: LineFact) -> Wish:
    """The same fact makes the same wish, however often it is told."""
    if isinstance(fact, NumberReleased):
        return Wish(
            company_id=fact.company_id,
            wanted=Wanted.NUMBER_RELEASED,
            key=f"{fact.company_id}:{fact.number}:{fact.released_at.isoformat()}",
            why=fact.why,
            since=fact.event_id,
            since_at=fact.released_at,
            number=fact.number,
        )
    wanted = _WANTED[type(fact)]
    return Wish(
        company_id=fact.company_id,
        wanted=wanted,
        key=f"{fact.company_id}:{fact.episode}:{wanted}",
        why=fact.why,
        since=fact.event_id,
        since_at=fact.at,
        episode=fact.episode,
    )


_WANTED: dict[type[LineFact], Wanted] = {
    LineRestricted: Wanted.RESTRICTED,
    LineCut: Wanted.CUT,
    LineRestored: Wanted.NORMAL,
}
