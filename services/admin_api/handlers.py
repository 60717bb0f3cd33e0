"""What the admin API hears: folds that keep its read models, right in any order and however often."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.envelope import Envelope
from libs.common.events.notifications import (
    DeliveryAccepted,
    DeliveryBounced,
    DeliveryDelivered,
    DeliveryFailed,
    DeliverySuppressed,
    DeliveryUnknown,
)
from libs.common.events.operations import EventSetAside
from libs.common.events.scheduler import RoutineRan, RoutineWatched
from libs.common.router import EventRouter, Heard
from services.admin_api import queries
from services.admin_api.histories import keep_histories
from services.admin_api.queries import DeliveryState, RoutineState

router = EventRouter("admin_api")


@router.fold(DeliveryAccepted)
async def keep_accepted(heard: Sequence[Heard[DeliveryAccepted]], session: AsyncSession) -> None:
    await queries.fold_deliveries(session, [delivery_state(h.event, h.envelope) for h in heard])


@router.fold(DeliveryDelivered)
async def keep_delivered(heard: Sequence[Heard[DeliveryDelivered]], session: AsyncSession) -> None:
    await queries.fold_deliveries(session, [delivery_state(h.event, h.envelope) for h in heard])


@router.fold(DeliveryBounced)
async def keep_bounced(heard: Sequence[Heard[DeliveryBounced]], session: AsyncSession) -> None:
    await queries.fold_deliveries(session, [delivery_state(h.event, h.envelope) for h in heard])


@router.fold(DeliveryFailed)
async def keep_failed(heard: Sequence[Heard[DeliveryFailed]], session: AsyncSession) -> None:
    await queries.fold_deliveries(session, [delivery_state(h.event, h.envelope) for h in heard])


@router.fold(DeliverySuppressed)
async def keep_suppressed(heard: Sequence[Heard[DeliverySuppressed]], session: AsyncSession) -> None:
    await queries.fold_deliveries(session, [delivery_state(h.event, h.envelope) for h in heard])


@router.fold(DeliveryUnknown)
async def keep_unknown(heard: Sequence[Heard[DeliveryUnknown]], session: AsyncSession) -> None:
    await queries.fold_deliveries(session, [delivery_state(h.event, h.envelope) for h in heard])


@router.fold(EventSetAside)
async def keep_set_aside(heard: Sequence[Heard[EventSetAside]], session: AsyncSession) -> None:
    await queries.fold_set_aside(session, heard)


@router.fold(RoutineRan)
async def keep_runs(heard: Sequence[Heard[RoutineRan]], session: AsyncSession) -> None:
    states = [
        RoutineState(h.event.routine, h.event.expected_by, h.event.outcome, h.event.finished_at, h.envelope)
        for h in heard
    ]
    await queries.fold_routines(session, states)


@router.fold(RoutineWatched)
async def keep_watched(heard: Sequence[Heard[RoutineWatched]], session: AsyncSession) -> None:
    states = [
        RoutineState(h.event.routine, h.event.expected_by, h.event.why, h.event.at, h.envelope) for h in heard
    ]
    await queries.fold_routines(session, states)


DeliveryFact = (
    DeliveryAccepted
    | DeliveryBounced
    | DeliveryDelivered
    | DeliveryFailed
    | DeliverySuppressed
    | DeliveryUnknown
)


def delivery_state(event: DeliveryFact, envelope: Envelope) -> DeliveryState:
    """What a fact says of its delivery: its state, since when, and the provider's answer or the reason."""
    match event:
        case DeliveryAccepted():
            status, at, detail = "accepted", event.accepted_at, event.answer
        case DeliveryDelivered():
            status, at, detail = "delivered", event.delivered_at, event.answer
        case DeliveryBounced():
            status, at, detail = "bounced", event.bounced_at, event.answer
        case DeliveryFailed():
            status, at, detail = "failed", event.failed_at, event.answer
        case DeliverySuppressed():
            status, at, detail = "suppressed", event.suppressed_at, event.why
        case DeliveryUnknown():
            status, at, detail = "unknown", event.unknown_at, event.answer
    return DeliveryState(
        delivery_id=event.delivery_id,
        company_id=event.company_id,
        kind=event.kind,
        channel=event.channel,
        billing_cycle=event.billing_cycle,
        invoice_ids=event.invoice_ids,
        status=status,
        at=at,
        detail=detail,
        envelope=envelope,
    )


keep_histories(router)
