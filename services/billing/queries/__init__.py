"""Billing's SQL: `stripe_copy` for what Stripe and the directory told, `cases` and `attempts` for dunning,
`lines`, `situations`, `line_copies` for what becomes of a company's lines, `history` for looking back."""

from services.billing.queries import attempts, cases, history, line_copies, lines, situations, stripe_copy

__all__ = ["attempts", "cases", "history", "line_copies", "lines", "situations", "stripe_copy"]
