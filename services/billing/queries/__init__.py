"""Billing's SQL: `events`, `stripe_copy` and `subscriptions` for what Stripe and the directory told,
`debtors` for whose it is, `cases` and `attempts` for dunning, `lines`, `situations` and `line_copies` for
what becomes of a company's phone lines, `history` for looking back,
`ways_to_pay` for the links in mails, `wishes` for what is wanted of lines,
`reconciliation` for what was missed, `subscription_checks` for what is compared,
`methods` for saved payment methods."""

from services.billing.queries import (
    attempts,
    cases,
    debtors,
    events,
    history,
    line_copies,
    lines,
    methods,
    reconciliation,
    situations,
    stripe_copy,
    subscription_checks,
    subscriptions,
    ways_to_pay,
    wishes,
)

__all__ = [
    "attempts",
    "cases",
    "debtors",
    "events",
    "history",
    "line_copies",
    "lines",
    "methods",
    "reconciliation",
    "situations",
    "stripe_copy",
    "subscription_checks",
    "subscriptions",
    "ways_to_pay",
    "wishes",
]
