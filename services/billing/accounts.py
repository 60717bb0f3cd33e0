"""What `relance dunning` reads, changing nothing: a company explained, a policy tried over the past."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from libs.common.database import Database
from services.billing import domain, queries
from services.billing.domain import Policy
from services.billing.domain.past import Past
from services.billing.domain.simulation import Deed, foresee, happened, simulate
from services.billing.domain.wording import (
    Now,
    comparison,
    comparison_head,
    explanation,
    next_warning_at,
    totals,
)

PAGE = 500
_FIRST_ID = UUID(int=0)


async def explain(database: Database, word: str, policy: Policy) -> list[str]:
    """In French. `word`: an id, the number in the old system, a Stripe customer or an invoice."""
    async with database.begin() as uow:
        company_ids = await queries.history.list_companies_named(uow.session, word)
        lines: list[str] = []
        for past in await queries.history.list_pasts(uow.session, company_ids):
            present = await queries.history.get_present(uow.session, past.company_id)
            situation = await queries.situations.get_situation(uow.session, past.company_id, present.lines)
            now = Now(
                at=uow.now,
                situation=situation,
                last_decision=present.decision,
                last_decided_at=present.decided_at,
                decision=domain.decide(situation, policy, uow.now),
                coming=foresee(situation, policy, uow.now),
                coming_warning_at=next_warning_at(situation, policy, uow.now),
            )
            lines.extend([*([""] if lines else []), *explanation(past, now, policy)])
    return lines


async def simulate_since(database: Database, policy: Policy, since: datetime) -> AsyncIterator[str]:
    """In French, company by company as they are read, the totals last."""
    imagined, real = Counter[Deed](), Counter[Deed]()
    for line in comparison_head(policy):
        yield line
    async for past, until in _pasts(database, since):
        would, did = simulate(past, policy, since, until), happened(past, since)
        imagined.update(happening.deed for happening in would)
        real.update(happening.deed for happening in did)
        if would or did:
            for line in comparison(past, would, did, policy):
                yield line
    for line in totals(imagined, real):
        yield line


async def _pasts(database: Database, since: datetime) -> AsyncIterator[tuple[Past, datetime]]:
    after = _FIRST_ID
    while True:
        async with database.begin() as uow:
            company_ids = await queries.history.list_companies_since(
                uow.session, since, after=after, limit=PAGE
            )
            pasts = await queries.history.list_pasts(uow.session, company_ids)
        for past in pasts:
            yield past, uow.now
        if len(company_ids) < PAGE:
            return
        after = company_ids[-1]
