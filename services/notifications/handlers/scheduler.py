"""What the clock tells: queue the message that is due."""

from __future__ import annotations

from libs.common.database import Uow
from libs.common.events.scheduler import (
    CutoffWarningDue,
    NumberReleaseWarningDue,
    SignupStepDue,
    TrialEnded,
    TrialEndingSoon,
    UnpaidReminderDue,
)
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


@router.on(CutoffWarningDue)
async def queue_cutoff_warning(event: CutoffWarningDue, uow: Uow) -> None:
    await lock(event, uow)
    await queue(domain.cutoff_warning(event), uow)


@router.on(TrialEndingSoon)
async def queue_trial_ending_soon_mail(event: TrialEndingSoon, uow: Uow) -> None:
    await lock(event, uow)
    await queue(domain.trial_ending_soon(event), uow)


@router.on(TrialEnded)
async def queue_trial_ended_mail(event: TrialEnded, uow: Uow) -> None:
    await lock(event, uow)
    await queue(domain.trial_ended(event), uow)


@router.on(NumberReleaseWarningDue)
async def queue_number_release_warning_mail(event: NumberReleaseWarningDue, uow: Uow) -> None:
    await lock(event, uow)
    await queue(domain.number_release_warning(event), uow)
