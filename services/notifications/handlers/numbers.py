"""What the directory tells of phone numbers: remember it, and write to whose they are."""

from __future__ import annotations

from libs.common.database import Uow
from libs.common.events.directory import NumberAssigned, NumberReleased
from services.notifications import domain, queries
from services.notifications.handlers.queueing import lock, queue
from services.notifications.handlers.router import router


@router.on(NumberAssigned)
async def queue_number_assigned_mail(event: NumberAssigned, uow: Uow) -> None:
    await lock(event, uow)
    await queries.mark_number_assigned(
        uow.session, event.company_id, event.number, assigned_at=event.assigned_at
    )
    await queue(domain.number_assigned(event), uow)


@router.on(NumberReleased)
async def queue_number_released_mail(event: NumberReleased, uow: Uow) -> None:
    await lock(event, uow)
    await queries.mark_number_released(
        uow.session, event.company_id, event.number, released_at=event.released_at
    )
    await queue(domain.number_released(event), uow)
