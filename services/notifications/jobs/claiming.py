"""Claiming: what is due is decided on, built and marked `sending`, in one transaction that calls nobody."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.common.database import Uow
from libs.common.jobs import brief
from services.notifications import domain, ledger, mail, queries
from services.notifications.domain import (
    INTERNAL,
    KINDS,
    Delivery,
    Knowledge,
    Letter,
    Outcome,
    Result,
    Send,
    Status,
    Why,
)
from services.notifications.domain.links import with_short_links
from services.notifications.jobs.carriers import Carrier
from services.notifications.jobs.shortening import known_short_links
from services.notifications.settings import NotificationsSettings

log = logging.getLogger("relance.notifications")

# Candidates looked at for each one that can be sent: some belong to companies that somebody else holds.
WINDOW = 8


async def claim_due_deliveries(
    uow: Uow,
    carrier: Carrier,
    settings: NotificationsSettings,
    letters: list[Letter],
    *,
    limit: int,
    at_once: int,
) -> int:
    """Adds to `letters` what the carrier must send; answers how many deliveries were looked at.

    The first `at_once` letters are sent at once; the others wait for their turn (`queries.mark_begun`).
    """
    company_ids = await queries.list_due_companies(
        uow.session, carrier.channel, now=uow.now, limit=limit * WINDOW
    )
    if not company_ids:
        return 0
    locked = await ledger.lock_companies(uow, company_ids, limit=limit)
    deliveries = await queries.claim_next_deliveries(uow.session, locked, carrier.channel, now=uow.now)
    if not await queries.try_to_look(uow.session):
        return 1  # somebody is changing whom nothing is sent to; a moment later it is known
    known = await queries.get_knowledge(uow.session, deliveries, now=uow.now)
    short = await known_short_links(uow, settings, deliveries)
    built: list[Letter] = []
    others: list[Result] = []
    for delivery in deliveries:
        decision = _decide(delivery, known[delivery.id], carrier, _Writing(settings, short, uow.now))
        if isinstance(decision, Letter):
            built.append(decision)
        else:
            others.append((delivery, decision))
    letters.extend(await _mark_sending(uow, settings, built, at_once=at_once))
    await ledger.settle(uow, others, from_statuses=[Status.PENDING])
    return max(1, len(deliveries))  # others are due, even if another claimer was faster with these


@dataclass(frozen=True, slots=True)
class _Writing:
    """What all letters of a claim are written with."""

    settings: NotificationsSettings
    short: Mapping[str, str]
    now: datetime


def _decide(
    delivery: Delivery,
    known: Knowledge,
    carrier: Carrier,
    writing: _Writing,
) -> Letter | Outcome:
    if delivery.kind in INTERNAL:
        delivery = replace(delivery, recipient=writing.settings.team_email)
    decision = domain.decide(
        delivery,
        known,
        now=writing.now,
        allow_list=carrier.doorkeeper,
        digest_wait=writing.settings.digest_wait,
        consent=writing.settings.consent,
    )
    if isinstance(decision, Send):
        return _build(delivery, decision, carrier, writing)
    if decision.status is Status.SUPPRESSED and decision.why in (Why.HARD_BOUNCE, Why.BLOCKED):
        log.warning("delivery %s (%s) cannot reach its recipient: %s",
                    delivery.id, delivery.kind, decision.why)  # fmt: skip
    if decision.why is Why.ALREADY_LISTED:
        log.info("Un email a déjà été envoyé ce cycle de facturation. Abandon de l'envoi.")
    return decision


def _build(
    delivery: Delivery,
    decision: Send,
    carrier: Carrier,
    writing: _Writing,
) -> Letter | Outcome:
    """The letter; or, for one that cannot be written, its failure: it must not hold up the others."""
    settings = writing.settings
    house = {**settings.house, **settings.preference_links.objecting(delivery).context}
    context = domain.context_to_send(delivery, decision.open_invoices, house)
    if settings.shortens(delivery.kind, delivery.channel):
        context = with_short_links(context, writing.short)
    try:
        built = carrier.build(delivery, context, now=writing.now)
    except Exception as error:
        log.exception("delivery %s (%s) cannot be built", delivery.id, delivery.kind)
        return Outcome(Status.FAILED, brief(error), Why.CANNOT_BE_BUILT)
    listed = tuple(invoice.invoice_id for invoice in decision.open_invoices)
    listing = replace(delivery, invoice_ids=listed or delivery.invoice_ids)
    return Letter(
        listing,
        delivery.recipient or "",
        built.message_id,
        built.content,
        mail.template_version(KINDS[delivery.kind].template),
        decision.open_invoices,
    )


async def _mark_sending(
    uow: Uow, settings: NotificationsSettings, built: Sequence[Letter], *, at_once: int
) -> list[Letter]:
    """The letters as claimed, each with its fence."""
    if not built:
        return []
    await queries.add_listed_invoices(uow.session, built)
    lease_until = uow.now + timedelta(seconds=settings.lease_seconds)
    fences = await queries.mark_sending(
        uow.session, built, at_once=at_once, now=uow.now, lease_until=lease_until
    )
    return [_claimed(letter, fences[letter.delivery.id]) for letter in built]


def _claimed(letter: Letter, fence: int) -> Letter:
    delivery = replace(letter.delivery, fence=fence, attempts=letter.delivery.attempts + 1)
    return replace(letter, delivery=delivery)
