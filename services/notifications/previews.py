"""A message as it would be written now: with what a company was last told, or with a fact made up for it.

The handlers and the templates are the real ones, in a transaction that is always rolled back: nothing is
queued, nothing is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.database import Database, Uow
from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure
from libs.common.events.billing import OpenInvoice
from libs.common.router import Taken
from services.notifications import domain, handlers, mail, queries
from services.notifications.domain import KINDS, Channel, Contact, Delivery, digests
from services.notifications.domain.digests import DIGEST_KIND, Group, Topic
from services.notifications.domain.examples import COMPANY_ID, example_contact, example_fact, example_invoice
from services.notifications.domain.links import links_in, with_short_links
from services.notifications.mail import MailContent
from services.notifications.settings import NotificationsSettings
from services.notifications.sms import SmsText, build_sms


@dataclass(frozen=True, slots=True)
class Preview:
    """What a message would say, and from whose data; `delivery` was never stored."""

    delivery: Delivery
    content: MailContent
    source: str
    # Of a kind that goes by SMS too.
    sms: SmsText | None = None


async def preview(
    database: Database, settings: NotificationsSettings, kind: str, company_id: UUID | None
) -> Preview:
    """Raises PermanentFailure, in French, for a kind that there is not, or a company that nobody knows."""
    if kind not in KINDS:
        raise PermanentFailure(f"il n'y a pas de message {kind!r} ; il y a : {', '.join(KINDS)}")
    async with database.preview() as uow:
        delivery, source = await _delivery(uow, settings, kind, company_id)
        invoices = await _invoices(uow, delivery, settings.login_url)
        context = domain.context_to_send(delivery, invoices, settings.house)
        short = await queries.list_short_links(uow.session, links_in(context))
    return Preview(
        delivery,
        mail.render(KINDS[kind].template, _shortened(context, short, settings, kind, Channel.MAIL)),
        source,
        _sms(_shortened(context, short, settings, kind, Channel.SMS), settings, kind),
    )


def _shortened(
    context: Mapping[str, Any],
    short: Mapping[str, str],
    settings: NotificationsSettings,
    kind: str,
    channel: Channel,
) -> Mapping[str, Any]:
    return with_short_links(context, short) if settings.shortens(kind, channel) else context


def _sms(context: Mapping[str, Any], settings: NotificationsSettings, kind: str) -> SmsText | None:
    if Channel.SMS not in KINDS[kind].channels:
        return None
    return build_sms(KINDS[kind].template, context, is_transliterated=settings.sms_transliterate)


def build(
    shown: Preview,
    settings: NotificationsSettings,
    *,
    recipient: str,
    message_id: str,
    date: datetime,
    mark: str = "",
) -> bytes:
    """The mail of a preview, byte by byte; `mark` goes before the subject."""
    content = shown.content
    return mail.build_mail(
        message_id=message_id,
        sender=settings.mail_sender,
        recipient=recipient,
        recipient_name=shown.delivery.recipient_name,
        content=replace(content, subject=f"{mark}{content.subject}"),
        kind=shown.delivery.kind,
        billing_cycle=shown.delivery.billing_cycle,
        delivery_id=shown.delivery.id,
        date=date,
        traceparent=None,
    )


async def _delivery(
    uow: Uow, settings: NotificationsSettings, kind: str, company_id: UUID | None
) -> tuple[Delivery, str]:
    if kind == DIGEST_KIND:
        return _digest(uow, settings), "un exemple"
    if company_id is None:
        return await _made_up(uow, settings, kind, COMPANY_ID, example_contact()), "un exemple"
    real = await queries.find_last_delivery(uow.session, company_id, kind, Channel.MAIL)
    if real is not None:
        return real, f"ce qui lui a été écrit le {real.created_at:%d/%m/%Y}"
    contact = await queries.find_contact(uow.session, company_id)
    if contact == Contact():
        raise PermanentFailure(f"le répertoire ne nomme pas d'entreprise {company_id}")
    made_up = await _made_up(uow, settings, kind, company_id, contact)
    return made_up, f"un exemple, au nom de {contact.name or company_id}"


async def _made_up(
    uow: Uow, settings: NotificationsSettings, kind: str, company_id: UUID, contact: Contact
) -> Delivery:
    """What the real handler queues for a fact made up for it."""
    owed = await queries.list_open_invoices(uow.session, company_id)
    fact = example_fact(kind, company_id, contact, owed, now=uow.now, link=settings.login_url)
    cause = Envelope(fact.event_id, fact.type, "/relance/preview", fact.key, uow.now, fact.to_bytes(), 1)
    await handlers.router.handlers[fact.type]([Taken(fact, uow.caused_by(cause))])
    found = await queries.find_delivery_of(uow.session, fact.event_id, kind, Channel.MAIL)
    if found is None:
        raise PermanentFailure(f"un exemple de {kind} ne peut pas être fait pour cette entreprise")
    return found


async def _invoices(uow: Uow, delivery: Delivery, link: str) -> Sequence[OpenInvoice]:
    if not KINDS[delivery.kind].lists_invoices:
        return ()
    owed = await queries.list_open_invoices(uow.session, delivery.company_id)
    return owed or [example_invoice(uow.now, link)]


def _digest(uow: Uow, settings: NotificationsSettings) -> Delivery:
    line = "billing : stripe.event_received.v1 (cus_1) : ValueError: exemple"
    content = digests.content_of([Group(Topic.DEAD_LETTER, 200, [(line, None)] * 5)], settings.admin_url)
    message = digests.digest_mail(COMPANY_ID, settings.team_email or "equipe@exemple.fr", content)
    return Delivery(
        id=message.delivery_id,
        company_id=message.company_id,
        kind=message.kind,
        channel=message.channel,
        recipient=message.recipient,
        recipient_name="",
        invoice_id=None,
        invoice_ids=(),
        billing_cycle=None,
        stage=None,
        context=content,
        attempts=0,
        fence=0,
        created_at=uow.now,
        expires_at=uow.now,
        event_id=COMPANY_ID,
        event_type="",
        traceparent=None,
    )
