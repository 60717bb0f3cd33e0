"""Working a stored Stripe event once more: for real, or to see what it would do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from libs.common.database import Database, Uow
from libs.common.envelope import Envelope
from libs.common.events.stripe import StripeEventReceived
from libs.integrations.stripe import read_event
from services.billing import domain, intake, queries


@dataclass(frozen=True, slots=True)
class Effect:
    """A fact that a replay would tell; nothing more comes of one that was told before."""

    type: str
    event_id: UUID
    is_new: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What a replay with effects would do."""

    stripe_event_id: str
    type: str
    outcome: str
    effects: list[Effect]


async def replay(body: bytes, uow: Uow, *, with_effects: bool) -> str:
    """Answers what it did. Raises PermanentFailure when the event is not what it must be."""
    changes = domain.translate(read_event(json.loads(body)))
    known = await intake.store(changes, uow.session, uow.now)
    if not with_effects:
        return "state only"
    return "; ".join([await intake.act(change, known, uow) for change in changes]) or "nothing"


async def preview(stripe_event_id: str, database: Database) -> Preview | None:
    """Does it all and takes it all back; None for an event that is not kept."""
    async with database.preview() as uow:
        body = await queries.events.find_body(uow.session, stripe_event_id)
        if body is None:
            return None
        outcome = await replay(body, uow.caused_by(_as_if_received(body, uow)), with_effects=True)
        told = uow.told
        known = await queries.events.list_told(uow.session, [fact.event_id for fact in told])
    effects = [Effect(fact.type, fact.event_id, fact.event_id not in known) for fact in told]
    return Preview(stripe_event_id, json.loads(body)["type"], outcome, effects)


def _as_if_received(body: bytes, uow: Uow) -> Envelope:
    received = StripeEventReceived.from_bytes(body)
    return Envelope(received.event_id, received.type, "/stripe/replay", received.key, uow.now, body)
