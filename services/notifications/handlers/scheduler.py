"""What the clock tells: queue the message that is due."""

from __future__ import annotations

from libs.common.database import Uow
from libs.common.events.scheduler import SignupStepDue, UnpaidReminderDue
from services.notifications import domain
from services.notifications.handlers.queueing import lock, queue
from services.notifications.handlers.router import router


@router.on(UnpaidReminderDue)
async def queue_unpaid_reminder(event: UnpaidReminderDue, uow: Uow) -> None:
    await lock(event, uow)
    await queue(domain.unpaid_reminder(event), uow)


@router.on(SignupStepDue)
async def queue_signup_mail(event: SignupStepDue, uow: Uow) -> None:
    await lock(event, uow)
    await queue(domain.signup(event), uow)
