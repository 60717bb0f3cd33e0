"""What our own team should know: each fact a notice, which a digest will tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.common.events.billing import DisputeOpened
from libs.common.events.directory import RoutineSilent
from libs.common.events.notifications import DeliveryFailed, DeliveryUnknown
from libs.common.events.operations import EventSetAside
from libs.common.router import Taken
from services.notifications import queries
from services.notifications.domain import digests
from services.notifications.handlers.queueing import cause_of
from services.notifications.handlers.router import router


@router.on_batch(EventSetAside)
async def note_dead_letters(batch: Sequence[Taken[EventSetAside]]) -> None:
    await _note(batch)


@router.on_batch(DisputeOpened)
async def note_disputes(batch: Sequence[Taken[DisputeOpened]]) -> None:
    await _note(batch)


@router.on_batch(RoutineSilent)
async def note_silent_routines(batch: Sequence[Taken[RoutineSilent]]) -> None:
    await _note(batch)


@router.on_batch(DeliveryUnknown)
async def note_unknown_deliveries(batch: Sequence[Taken[DeliveryUnknown]]) -> None:
    await _note(batch)


@router.on_batch(DeliveryFailed)
async def note_failed_deliveries(batch: Sequence[Taken[DeliveryFailed]]) -> None:
    await _note(batch)


async def _note(batch: Sequence[Taken[Any]]) -> None:
    notices = [digests.notice_of(taken.event, cause_of(taken.uow)) for taken in batch]
    uow = batch[0].uow
    await queries.add_notices(uow.session, [notice for notice in notices if notice], now=uow.now)
