"""What a row of the table of kinds says, and the conditions under which a message is no longer wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from libs.common.events import Event
from services.notifications.domain.deliveries import Category, Channel, Delivery, Knowledge, Why

RECENT_NOTICE = timedelta(hours=72)
OLD_NEWS = timedelta(days=45)

Stop: TypeAlias = Callable[[Delivery, Knowledge], bool]


def has_no_open_invoice(delivery: Delivery, known: Knowledge) -> bool:
    """Every invoice that this delivery speaks of, its own and those it listed before, is closed."""
    mine = {delivery.invoice_id, *delivery.invoice_ids}
    return not any(invoice.invoice_id in mine for invoice in known.open_invoices)


def is_closed(delivery: Delivery, known: Knowledge) -> bool:
    return delivery.invoice_id in known.closed_invoice_ids


def is_listed_elsewhere(delivery: Delivery, known: Knowledge) -> bool:
    """Another mail told of this invoice in this billing cycle, and the stage has not risen since."""
    return any(
        listed.invoice_id == delivery.invoice_id
        and listed.billing_cycle == delivery.billing_cycle
        and listed.stage >= (delivery.stage or 0)
        and listed.delivery_id != delivery.id
        for listed in known.listed
    )


def owes_nothing(delivery: Delivery, known: Knowledge) -> bool:
    return not known.open_invoices


def is_noticed_recently(delivery: Delivery, known: Knowledge) -> bool:
    """Counted from when the reminder was due to be written, so that waiting to be sent changes nothing."""
    return known.noticed_at is not None and known.noticed_at > delivery.created_at - RECENT_NOTICE


def is_subscribed(delivery: Delivery, known: Knowledge) -> bool:
    """It has subscribed at some time, whatever became of that."""
    return known.is_subscribed


def has_subscription(delivery: Delivery, known: Knowledge) -> bool:
    """A subscription of the company's runs by now."""
    return bool(known.running_subscription_ids)


def is_canceled(delivery: Delivery, known: Knowledge) -> bool:
    """The very subscription that it speaks of has ended."""
    return delivery.context.get("subscription_id") in known.ended_subscription_ids


def is_released(delivery: Delivery, known: Knowledge) -> bool:
    """The phone number that it speaks of is the company's no more."""
    return delivery.context.get("number") in known.released_numbers


def is_old_news(delivery: Delivery, known: Knowledge) -> bool:
    """What happened long before it was told: a history that was brought in makes no mails.

    Longer than trials last: a subscription that follows a trial began with it.
    """
    happened_at = datetime.fromisoformat(delivery.context["happened_at"])
    return delivery.created_at - happened_at > OLD_NEWS


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table. `stops` are looked at in order when the delivery is claimed."""

    fact: type[Event]
    category: Category
    template: str
    expires_after: timedelta
    channels: tuple[Channel, ...] = (Channel.MAIL,)
    stops: tuple[tuple[Stop, Why], ...] = ()
    # Whether it lists every invoice that is open when it is sent.
    lists_invoices: bool = False
