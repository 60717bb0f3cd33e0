"""Queueing a message: a delivery for each channel of its kind, under the company's lock."""

from __future__ import annotations

from dataclasses import replace

from libs.common.database import Uow
from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure
from libs.common.events import CompanyEvent
from services.notifications import domain, ledger, queries
from services.notifications.domain import KINDS, Channel, Message, Status


async def lock(event: CompanyEvent, uow: Uow) -> None:
    """Every writer to a company's deliveries holds its stream: handlers and claimers take turns."""
    await uow.lock(str(event.company_id))


def cause_of(uow: Uow) -> Envelope:
    """Raises PermanentFailure in a unit of work that no fact began."""
    if uow.cause is None:
        raise PermanentFailure("a delivery is made by a fact, and this unit of work has none")
    return uow.cause


async def queue(message: Message, uow: Uow) -> None:
    """Once a channel. Where the fact does not say whom to write to, it is whom the directory names."""
    channels = KINDS[message.kind].channels
    if message.recipient is None or Channel.SMS in channels:
        contact = await queries.find_contact(uow.session, message.company_id)
        message = domain.addressed(message, contact)
    for channel in channels:
        await _queue_one(replace(message, channel=channel), uow)


async def _queue_one(message: Message, uow: Uow) -> None:
    message, why = domain.reachable(message)
    delivery = await queries.add_delivery(uow.session, message, cause=cause_of(uow), now=uow.now)
    if delivery is not None and why is not None:
        await ledger.settle(uow, [(delivery, domain.suppressed(why))], from_statuses=[Status.PENDING])
