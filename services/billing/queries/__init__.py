"""Billing's SQL: `events`, `stripe_copy` and `subscriptions` for what Stripe and the directory told,
`debtors` for whose it is, `cases` and `attempts` for dunning, `lines`, `situations` and `line_copies` for
what becomes of a company's phone lines, `history` for looking back."""

from services.billing.queries import (
    attempts,
    cases,
    debtors,
    events,
    history,
    line_copies,
    lines,
    situations,
    stripe_copy,
    subscriptions,
)

__all__ = [
    "attempts",
    "cases",
    "debtors",
    "events",
    "history",
    "line_copies",
    "lines",
    "situations",
    "stripe_copy",
    "subscriptions",
]
