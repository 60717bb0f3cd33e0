"""Billing's SQL: `stripe_copy` for what Stripe and the directory told, `cases` for dunning."""

from services.billing.queries import cases, stripe_copy

__all__ = ["cases", "stripe_copy"]
