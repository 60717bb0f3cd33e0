"""check_unpaid: each working morning, reminders of who owes, and whose deadline has passed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Uow
from services.scheduler import domain, queries
from services.scheduler.domain import Coming, Horizon, ReminderStage, Routine, Status
from services.scheduler.jobs.work import BATCH, Batch, Work


def check_unpaid(stages: Sequence[ReminderStage]) -> Work:
    return Work(partial(tell_unpaid, stages), partial(list_coming, stages))


async def tell_unpaid(stages: Sequence[ReminderStage], uow: Uow, morning: datetime) -> Batch:
    batch = Batch(0)
    for stage in stages:
        batch += await _remind(stage, uow, morning)
    return batch + await _tell_cutoffs(uow, morning)


async def _remind(stage: ReminderStage, uow: Uow, morning: datetime) -> Batch:
    """Occurrences and facts in one transaction."""
    claimed, reminders = await queries.add_due_reminders(
        uow.session, stage, morning=morning, now=uow.now, limit=BATCH
    )
    told = [each for each in reminders if each.status is Status.TOLD]
    for reminder in told:
        await uow.publish(
            domain.unpaid_reminder_due(stage, reminder),
            traceparent=reminder.traceparent,
            causation_id=reminder.event_id,
        )
    return Batch(claimed, len(told), len(reminders) - len(told))


async def _tell_cutoffs(uow: Uow, morning: datetime) -> Batch:
    claimed, cutoffs = await queries.add_due_cutoffs(uow.session, morning=morning, now=uow.now, limit=BATCH)
    for cutoff in cutoffs:
        await uow.publish(
            domain.cutoff_due(cutoff, morning),
            traceparent=cutoff.traceparent,
            causation_id=cutoff.event_id,
        )
    return Batch(claimed, len(cutoffs))


async def list_coming(
    stages: Sequence[ReminderStage], session: AsyncSession, routine: Routine, horizon: Horizon
) -> Sequence[Coming]:
    """Reminders by their moments, and each working morning whose deadline will have passed by then."""
    found: list[Coming] = []
    for stage in stages:
        found.extend(await queries.list_coming_reminders(session, stage, horizon))
    for morning in routine.slots_between(horizon.now, horizon.until):
        found.extend(await queries.list_coming_cutoffs(session, morning, horizon))
    return sorted(found, key=lambda coming: coming.place)[: horizon.limit]
