"""signup_routine: the steps of companies that registered and have not subscribed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Uow
from services.scheduler import domain, queries
from services.scheduler.domain import Coming, Horizon, Routine, Status, Step
from services.scheduler.jobs.work import BATCH, Batch, Work


def scan_signup(steps: Sequence[Step]) -> Work:
    return Work(partial(tell_steps, steps), partial(list_coming, steps))


async def tell_steps(steps: Sequence[Step], uow: Uow, due_at: datetime) -> Batch:
    """In their order: who is past one may be due for the next."""
    batch = Batch(0)
    for step in steps:
        batch += await _tell_step(step, uow, due_at)
    return batch


async def _tell_step(step: Step, uow: Uow, due_at: datetime) -> Batch:
    """Occurrences and facts in one transaction."""
    claimed, occurrences = await queries.add_due_occurrences(
        uow.session, step, due_until=due_at, now=uow.now, limit=BATCH
    )
    told = [each for each in occurrences if each.status is Status.TOLD]
    for occurrence in told:
        await uow.publish(
            domain.signup_step_due(step, occurrence),
            traceparent=occurrence.traceparent,
            causation_id=occurrence.registered_event_id,
        )
    return Batch(claimed, len(told), len(occurrences) - len(told))


async def list_coming(
    steps: Sequence[Step], session: AsyncSession, routine: Routine, horizon: Horizon
) -> Sequence[Coming]:
    return await queries.list_coming_steps(session, steps, horizon)
