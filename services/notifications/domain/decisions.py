"""What becomes of a delivery: when it is claimed, and when the mail server has answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from libs.common.events.billing import OpenInvoice
from libs.common.events.notifications import (
    DeliveryAccepted,
    DeliveryBounced,
    DeliveryDelivered,
    DeliveryFailed,
    DeliverySuppressed,
    DeliveryUnknown,
)
from services.notifications.domain.deliveries import Delivery, Knowledge, Status, Why
from services.notifications.domain.kinds import KINDS

Told: TypeAlias = (
    DeliveryAccepted
    | DeliveryBounced
    | DeliveryDelivered
    | DeliveryFailed
    | DeliverySuppressed
    | DeliveryUnknown
)


@dataclass(frozen=True, slots=True)
class AllowList:
    """Who may be sent a mail. Entries are addresses or `@domains`, compared without case."""

    entries: frozenset[str] = frozenset()
    is_open: bool = False

    def allows(self, recipient: str) -> bool:
        address = recipient.strip().lower()
        domain = "@" + address.rpartition("@")[2]
        return self.is_open or address in self.entries or domain in self.entries

    def refusal(self, recipient: str) -> Why | None:
        return None if self.allows(recipient) else Why.NOT_ALLOWED_OUTSIDE_PROD


class Doorkeeper(Protocol):
    """Whether anything may leave for a recipient, in this environment and by this channel."""

    def refusal(self, recipient: str) -> Why | None: ...


@dataclass(frozen=True, slots=True)
class Send:
    """Send it; a mail that lists invoices lists these."""

    open_invoices: tuple[OpenInvoice, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """A delivery's new status, with the server's answer or our reason; `due_at` when it is tried again."""

    status: Status
    answer: str = ""
    why: Why | None = None
    due_at: datetime | None = None
    # The provider's own name for what it took.
    provider_id: str | None = None


Result: TypeAlias = tuple[Delivery, Outcome]
"""What became of a claim: the delivery as it was claimed, and its outcome."""


def suppressed(why: Why) -> Outcome:
    return Outcome(Status.SUPPRESSED, why=why)


def stop_of(delivery: Delivery, known: Knowledge) -> Why | None:
    """The first of the kind's stop conditions that holds."""
    for holds, why in KINDS[delivery.kind].stops:
        if holds(delivery, known):
            return why
    return None


def decide(
    delivery: Delivery, known: Knowledge, *, now: datetime, allow_list: Doorkeeper, digest_wait: timedelta
) -> Send | Outcome:
    """Checked when it counts, under the company's lock, in the transaction that claims."""
    why = stop_of(delivery, known)
    if why is None and not delivery.recipient:
        why = Why.NO_ADDRESS
    if why is None:
        why = allow_list.refusal(delivery.recipient or "")
    if why is not None:
        return suppressed(why)
    if now >= delivery.expires_at:
        return Outcome(Status.EXPIRED, "expired before it could be sent", Why.EXPIRED)
    waits_until = delivery.created_at + digest_wait
    if delivery.context.get("cases_being_tried") and now < waits_until:
        return Outcome(Status.PENDING, "waits for invoices still being tried", due_at=waits_until)
    return Send(tuple(known.open_invoices) if KINDS[delivery.kind].lists_invoices else ())


def after_temporary_failure(
    delivery: Delivery, answer: str, *, now: datetime, wait_seconds: float
) -> Outcome:
    """Tried again after the wait, unless it expires before."""
    due_at = now + timedelta(seconds=wait_seconds)
    if due_at >= delivery.expires_at:
        return Outcome(Status.EXPIRED, answer, Why.EXPIRED)
    return Outcome(Status.PENDING, answer, due_at=due_at)


def settled_by_hand(delivery: Delivery, *, is_sent: bool, by: str, now: datetime) -> Outcome:
    """What a person's word on an unknown delivery makes of it: what did not leave is due at once."""
    if is_sent:
        return Outcome(Status.ACCEPTED, f"settled by {by}: it was sent")
    answer = f"settled by {by}: it was not sent"
    if now >= delivery.expires_at:
        return Outcome(Status.EXPIRED, answer, Why.EXPIRED)
    return Outcome(Status.PENDING, answer, due_at=now)


def fact_of(delivery: Delivery, outcome: Outcome, *, now: datetime) -> Told | None:
    """What is told of an outcome; nothing while the delivery is still to be sent."""
    match outcome.status:
        case Status.ACCEPTED:
            return DeliveryAccepted(**_about(delivery), accepted_at=now, answer=outcome.answer)
        case Status.FAILED | Status.EXPIRED:
            return DeliveryFailed(
                **_about(delivery), failed_at=now, answer=outcome.answer or str(outcome.why or "")
            )
        case Status.DELIVERED:
            return DeliveryDelivered(**_about(delivery), delivered_at=now, answer=outcome.answer)
        case Status.BOUNCED:
            return DeliveryBounced(**_about(delivery), bounced_at=now, answer=outcome.answer)
        case Status.SUPPRESSED:
            return DeliverySuppressed(**_about(delivery), suppressed_at=now, why=str(outcome.why))
        case Status.UNKNOWN:
            return DeliveryUnknown(**_about(delivery), unknown_at=now, answer=outcome.answer)
        case _:
            return None


def _about(delivery: Delivery) -> dict[str, object]:
    return {
        "company_id": delivery.company_id,
        "delivery_id": delivery.id,
        "kind": delivery.kind,
        "channel": delivery.channel,
        "billing_cycle": delivery.billing_cycle,
        "invoice_ids": delivery.invoice_ids,
    }
