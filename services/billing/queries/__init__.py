"""Billing's SQL: `events`, `stripe_copy` and `subscriptions` for what Stripe and the directory told,
`debtors` for whose it is, `cases` and `attempts` for dunning, `ways_to_pay` for the links in mails,
`wishes` for lines."""

from services.billing.queries import (
    attempts,
    cases,
    debtors,
    events,
    stripe_copy,
    subscriptions,
    ways_to_pay,
    wishes,
)

__all__ = ["attempts", "cases", "debtors", "events", "stripe_copy", "subscriptions", "ways_to_pay", "wishes"]
