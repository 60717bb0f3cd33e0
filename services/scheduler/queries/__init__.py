"""The scheduler's SQL: its copy of what it heard, and what is due, a file for each routine."""

from services.scheduler.queries.signup import (
    FIRST_ID,
    add_due_occurrences,
    fold_linked,
    fold_registered,
    fold_subscribed,
    list_coming,
)
from services.scheduler.queries.slots import add_slot, delete_old_slots
from services.scheduler.queries.subscriptions import (
    SubscriptionHeard,
    claim_due_checks,
    fold_subscriptions,
    has_due_checks,
)
from services.scheduler.queries.unpaid import (
    add_due_cutoffs,
    add_due_reminders,
    fold_closed,
    fold_unpaid,
)

__all__ = [
    "FIRST_ID",
    "SubscriptionHeard",
    "add_due_cutoffs",
    "add_due_occurrences",
    "add_due_reminders",
    "add_slot",
    "claim_due_checks",
    "delete_old_slots",
    "fold_closed",
    "fold_linked",
    "fold_registered",
    "fold_subscribed",
    "fold_subscriptions",
    "fold_unpaid",
    "has_due_checks",
    "list_coming",
]
