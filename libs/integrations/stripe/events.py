"""Which of Stripe's events Relance asks for: the webhook endpoint's subscription, and the list's filter."""

from __future__ import annotations

EVENT_TYPES = (
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.refunded",
    "checkout.session.completed",
    "customer.created",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.created",
    "invoice.finalization_failed",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.overdue",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_attempt_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.upcoming",
    "invoice.updated",
    "invoice.voided",
    "invoice.will_be_due",
    "invoice_payment.paid",
    "payment_method.attached",
    "payment_method.automatically_updated",
    "payment_method.detached",
    "payment_method.updated",
    "setup_intent.succeeded",
)

MOST_TYPES = 20
"""`types[]` of `GET /v1/events` takes no more."""


def type_groups() -> list[tuple[str, ...]]:
    """All of them, in as few requests as the list allows."""
    return [EVENT_TYPES[at : at + MOST_TYPES] for at in range(0, len(EVENT_TYPES), MOST_TYPES)]
