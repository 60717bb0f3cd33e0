"""The scheduler's SQL: `signup` for companies and their steps, `routines` for everything else."""

from services.scheduler.queries.routines import (
    SubscriptionHeard,
    add_slot,
    claim_due_checks,
    delete_old_slots,
    fold_subscriptions,
    has_due_checks,
)
from services.scheduler.queries.signup import (
    add_due_occurrences,
    fold_linked,
    fold_registered,
    fold_subscribed,
    list_coming,
)

__all__ = [
    "SubscriptionHeard",
    "add_due_occurrences",
    "add_slot",
    "claim_due_checks",
    "delete_old_slots",
    "fold_linked",
    "fold_registered",
    "fold_subscribed",
    "fold_subscriptions",
    "has_due_checks",
    "list_coming",
]
