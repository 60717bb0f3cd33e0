"""Claims whose sender never came back: nobody can tell whether their letter left."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from libs.common.database import Database, Uow
from services.notifications import ledger, queries
from services.notifications.domain import Delivery, Outcome, Status

log = logging.getLogger("relance.notifications")

LARGEST_BATCH = 50
HELD_AFTER = timedelta(hours=1)
"""An unknown of which no provider has said anything by then is for a person to settle."""


async def expire_claims(database: Database) -> int:
    """`sending` past its lease becomes `unknown`: never claimed again; a late result settles it.

    What still waited for its turn was certainly not sent, and is claimed anew.
    """
    async with database.begin() as uow:
        expired = await queries.list_expired_claims(uow.session, now=uow.now, limit=LARGEST_BATCH)
        lost = await _settle(uow, expired) if expired else []
        ledger.UNKNOWN.set(await queries.count_unknown(uow.session))
        ledger.HELD.set(await queries.count_held(uow.session, before=uow.now - HELD_AFTER))
    for delivery in lost:
        log.warning("delivery %s (%s) may have left or not: its sender did not come back",
                    delivery.id, delivery.kind)  # fmt: skip
    return len(expired)


async def _settle(uow: Uow, expired: Sequence[tuple[Delivery, bool]]) -> list[Delivery]:
    """Answers with those that became unknown."""
    company_ids = list(dict.fromkeys(delivery.company_id for delivery, _ in expired))
    locked = set(await ledger.lock_companies(uow, company_ids, limit=len(company_ids)))
    not_sent = Outcome(Status.PENDING, "its sender was lost before its turn came", due_at=uow.now)
    lost = Outcome(Status.UNKNOWN, "the lease ran out before the server's answer was noted")
    mine = [(delivery, waits) for delivery, waits in expired if delivery.company_id in locked]
    waiting = [(delivery, not_sent) for delivery, waits in mine if waits]
    await ledger.settle(uow, waiting, from_statuses=[Status.SENDING], only_waiting=True)
    begun = [(delivery, lost) for delivery, waits in mine if not waits]
    return await ledger.settle(uow, begun, from_statuses=[Status.SENDING])
