"""Billing's SQL: `stripe_copy` for what Stripe and the directory told, `cases` and `attempts` for dunning,
`reconciliation` for what was missed, `subscription_checks` for what is compared."""

from services.billing.queries import attempts, cases, reconciliation, stripe_copy, subscription_checks

__all__ = ["attempts", "cases", "reconciliation", "stripe_copy", "subscription_checks"]
