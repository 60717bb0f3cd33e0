"""Billing's SQL: `events`, `stripe_copy` and `subscriptions` for what Stripe and the directory told,
`debtors` for whose it is, `cases` and `attempts` for dunning."""

from services.billing.queries import attempts, cases, debtors, events, stripe_copy, subscriptions

__all__ = ["attempts", "cases", "debtors", "events", "stripe_copy", "subscriptions"]
