"""Claiming: what is due is decided on, built and marked `sending`, in one transaction that calls nobody."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from libs.common.database import Uow
from libs.common.jobs import brief
from services.notifications import domain, ledger, mail, queries
from services.notifications.domain import (
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
from services.notifications.jobs.shortening import known_short_links
from services.notifications.settings import NotificationsSettings

log = logging.getLogger("relance.notifications")

# Candidates looked at for each one that can be sent: some belong to companies that somebody else holds.
WINDOW = 8


async def claim_due_deliveries(
    uow: Uow, settings: NotificationsSettings, letters: list[Letter], *, limit: int
) -> int:
    """Adds to `letters` what must be sent; answers how many deliveries were looked at."""
    company_ids = await queries.list_due_companies(uow.session, now=uow.now, limit=limit * WINDOW)
    if not company_ids:
        return 0
    locked = await ledger.lock_companies(uow, company_ids, limit=limit)
    deliveries = await queries.claim_next_deliveries(uow.session, locked, now=uow.now)
    known = await queries.get_knowledge(uow.session, deliveries)
    short = await known_short_links(uow, settings, deliveries)
    built: list[Letter] = []
    others: list[Result] = []
    for delivery in deliveries:
        decision = _decide(delivery, known[delivery.id], settings, short, uow.now)
        if isinstance(decision, Letter):
            built.append(decision)
        else:
            others.append((delivery, decision))
    letters.extend(await _mark_sending(uow, settings, built))
    await ledger.settle(uow, others, from_statuses=[Status.PENDING])
    return max(1, len(deliveries))  # others are due, even if another claimer was faster with these


def _decide(
    delivery: Delivery,
    known: Knowledge,
    settings: NotificationsSettings,
    short: Mapping[str, str],
    now: datetime,
) -> Letter | Outcome:
    decision = domain.decide(
        delivery, known, now=now, allow_list=settings.allow_list, digest_wait=settings.digest_wait
    )
    if isinstance(decision, Send):
        return _build(delivery, decision, settings, short, now)
    if decision.why is Why.ALREADY_LISTED:
        log.info("Un email a déjà été envoyé ce cycle de facturation. Abandon de l'envoi.")
    return decision


def _build(
    delivery: Delivery,
    decision: Send,
    settings: NotificationsSettings,
    short: Mapping[str, str],
    now: datetime,
) -> Letter | Outcome:
    """The letter; or, for one that cannot be written, its failure: it must not hold up the others."""
    context = domain.context_to_send(delivery, decision.open_invoices, settings.house)
    if settings.shortens(delivery.kind, delivery.channel):
        context = with_short_links(context, short)
    message_id = message_id_of(delivery, settings)
    recipient = delivery.recipient or ""
    try:
        content = mail.build_mail(
            message_id=message_id,
            sender=settings.mail_sender,
            recipient=recipient,
            recipient_name=delivery.recipient_name,
            content=mail.render(KINDS[delivery.kind].template, context),
            kind=delivery.kind,
            billing_cycle=delivery.billing_cycle,
            delivery_id=delivery.id,
            date=now,
            traceparent=delivery.traceparent,
        )
    except Exception as error:
        log.exception("delivery %s (%s) cannot be built", delivery.id, delivery.kind)
        return Outcome(Status.FAILED, brief(error), Why.CANNOT_BE_BUILT)
    listed = tuple(invoice.invoice_id for invoice in decision.open_invoices)
    listing = replace(delivery, invoice_ids=listed or delivery.invoice_ids)
    return Letter(listing, recipient, message_id, content, decision.open_invoices)


def message_id_of(delivery: Delivery, settings: NotificationsSettings) -> str:
    """Stable: the same delivery has the same Message-ID at every try."""
    return f"<{delivery.id}@{settings.mail_sender_address.rpartition('@')[2]}>"


async def _mark_sending(uow: Uow, settings: NotificationsSettings, built: Sequence[Letter]) -> list[Letter]:
    """The letters as claimed, each with its fence."""
    if not built:
        return []
    await queries.add_listed_invoices(uow.session, built)
    fences = await queries.mark_sending(
        uow.session, built, now=uow.now, lease_until=uow.now + timedelta(seconds=settings.lease_seconds)
    )
    return [_claimed(letter, fences[letter.delivery.id]) for letter in built]


def _claimed(letter: Letter, fence: int) -> Letter:
    delivery = replace(letter.delivery, fence=fence, attempts=letter.delivery.attempts + 1)
    return replace(letter, delivery=delivery)
