"""A person's word on a delivery of which nobody can tell whether it left."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from libs.common.database import Database
from services.notifications import domain, ledger, queries
from services.notifications.domain import Status


class Settled(StrEnum):
    """What the person found out. What did not leave is sent: it is no blind resend any more."""

    SENT = "sent"
    NOT_SENT = "not-sent"


class NotUnknownError(Exception):
    """There is nothing to settle: no such delivery, or it is not unknown."""


async def settle_unknown(database: Database, delivery_id: UUID, settled: Settled, *, by: str) -> Status:
    """The delivery's new status. `by` is kept in its history. Raises NotUnknownError."""
    async with database.begin() as uow:
        found = (await queries.find_deliveries(uow.session, {delivery_id})).get(delivery_id)
        if found is None:
            raise NotUnknownError(f"there is no delivery {delivery_id}")
        await uow.lock(str(found.delivery.company_id))
        outcome = domain.settled_by_hand(found.delivery, is_sent=settled is Settled.SENT, by=by, now=uow.now)
        taken = await ledger.settle(uow, [(found.delivery, outcome)], from_statuses=[Status.UNKNOWN])
        if not taken:
            raise NotUnknownError(f"delivery {delivery_id} is {found.status}: there is nothing to settle")
    return outcome.status


async def list_unknown(database: Database, *, limit: int) -> list[str]:
    """One line each, oldest first: id, kind, channel, recipient, since when, and what was heard last."""
    async with database.begin() as uow:
        rows = await queries.list_unknown(uow.session, limit=limit)
    return [
        f"{row.id}  {row.kind}  {row.channel}  {row.recipient}  sent {row.sending_at:%Y-%m-%d %H:%M:%S %Z}  "
        f"asked {row.asked} times\n    {row.answer}"
        for row in rows
    ]
