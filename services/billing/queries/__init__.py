"""Billing's SQL: `stripe_copy` for what Stripe and the directory told, `cases` and `attempts` for dunning,
`lines`, `situations` and `line_copies` for what becomes of a company's phone lines."""

from services.billing.queries import attempts, cases, line_copies, lines, situations, stripe_copy

__all__ = ["attempts", "cases", "line_copies", "lines", "situations", "stripe_copy"]
