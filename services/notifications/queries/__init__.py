"""The SQL of notifications: deliveries and their history, claims, what is known of companies."""

from services.notifications.queries.claims import (
    claim_next_deliveries,
    count_unknown,
    list_due_companies,
    list_expired_claims,
    lock_free_companies,
    mark_sending,
)
from services.notifications.queries.companies import (
    add_listed_invoices,
    add_open_invoices,
    add_subscribed,
    delete_listed_invoices,
    get_knowledge,
    mark_invoice_closed,
)
from services.notifications.queries.deliveries import (
    add_delivery,
    find_addressed,
    find_content,
    list_pending,
    mark_outcomes,
)
from services.notifications.queries.directory import find_contact, fold_companies
from services.notifications.queries.suppressions import (
    add_suppression,
    find_suppression,
    lift_suppressions,
    list_in_force,
    list_suppressions,
    lock_suppressions,
    try_to_look,
)

__all__ = [
    "add_delivery",
    "add_listed_invoices",
    "add_open_invoices",
    "add_subscribed",
    "add_suppression",
    "claim_next_deliveries",
    "count_unknown",
    "delete_listed_invoices",
    "find_addressed",
    "find_contact",
    "find_content",
    "find_suppression",
    "fold_companies",
    "get_knowledge",
    "lift_suppressions",
    "list_due_companies",
    "list_expired_claims",
    "list_in_force",
    "list_pending",
    "list_suppressions",
    "lock_free_companies",
    "lock_suppressions",
    "mark_invoice_closed",
    "mark_outcomes",
    "mark_sending",
    "try_to_look",
]
