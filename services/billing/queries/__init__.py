"""Billing's SQL: `stripe_copy` for what Stripe and the directory told, `cases` and `attempts` for dunning."""

from services.billing.queries import attempts, cases, stripe_copy

__all__ = ["attempts", "cases", "stripe_copy"]
