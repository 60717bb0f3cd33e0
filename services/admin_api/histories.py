"""Keeps what is told of each company, beside whatever else is kept of the same facts."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events import CompanyEvent
from libs.common.router import EventRouter, Heard
from services.admin_api import queries
from services.admin_api.domain.happenings import KEPT, said_of
from services.admin_api.queries import FactHeard


def keep_histories(router: EventRouter) -> None:
    """To be called last: the folds that are registered before stay the first."""
    for event in KEPT:
        router.fold_also(event)(_keep_facts)


async def _keep_facts(heard: Sequence[Heard[CompanyEvent]], session: AsyncSession) -> None:
    facts = [FactHeard(each.event.company_id, said_of(each.event), each.envelope) for each in heard]
    await queries.fold_facts(session, facts)
