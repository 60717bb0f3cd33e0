"""The SQL of notifications: deliveries and their history, claims, what is known of companies."""

from services.notifications.queries.account import (
    mark_number_assigned,
    mark_number_released,
    mark_subscription_ended,
    mark_subscription_started,
)
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
    count_deliveries,
    find_content,
    list_pending,
    mark_outcomes,
)
from services.notifications.queries.directory import find_contact, fold_companies
from services.notifications.queries.outcomes import (
    Found,
    ProviderEvent,
    add_provider_events,
    add_verdict,
    claim_questions,
    count_held,
    find_deliveries,
    list_provider_events,
    list_unknown,
    lock_provider_events,
    mark_provider_event,
)

__all__ = [
    "Found",
    "ProviderEvent",
    "add_delivery",
    "add_listed_invoices",
    "add_open_invoices",
    "add_provider_events",
    "add_subscribed",
    "add_verdict",
    "claim_next_deliveries",
    "claim_questions",
    "count_deliveries",
    "count_held",
    "count_unknown",
    "delete_listed_invoices",
    "find_contact",
    "find_content",
    "find_deliveries",
    "fold_companies",
    "get_knowledge",
    "list_due_companies",
    "list_expired_claims",
    "list_pending",
    "list_provider_events",
    "list_unknown",
    "lock_free_companies",
    "lock_provider_events",
    "mark_invoice_closed",
    "mark_number_assigned",
    "mark_number_released",
    "mark_outcomes",
    "mark_provider_event",
    "mark_sending",
    "mark_subscription_ended",
    "mark_subscription_started",
]
