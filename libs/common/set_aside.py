"""Telling people that an event was set aside: the same fact, whether reading it failed or working it."""

from __future__ import annotations

from libs.common.database import Uow
from libs.common.envelope import Envelope
from libs.common.events.operations import EventSetAside

LONGEST_SHOWN = 200
"""Characters of a key or a type that are told: strangers may write a megabyte there."""


async def tell_set_aside(uow: Uow, envelope: Envelope, *, service: str, cause: str, attempts: int) -> None:
    """Tell it in the transaction that sets aside; of EventSetAside itself only the log tells, or two services
    that cannot hear it would tell each other for ever."""
    if envelope.type == EventSetAside.type:
        return
    fact = EventSetAside(
        service=service,
        set_aside_event_id=envelope.event_id,
        set_aside_type=envelope.type[:LONGEST_SHOWN],
        set_aside_key=envelope.key[:LONGEST_SHOWN],
        cause=cause,
        attempts=attempts,
        set_aside_at=uow.now,
    )
    await uow.publish(fact, traceparent=envelope.traceparent, causation_id=envelope.event_id)
