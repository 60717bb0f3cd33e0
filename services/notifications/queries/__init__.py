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
    find_content,
    list_pending,
    mark_outcomes,
)
from services.notifications.queries.digests import (
    add_digest,
    add_notices,
    claim_post,
    drop_notices,
    expire_posts,
    find_last_digest,
    hold_posts,
    list_waiting,
    note_post,
    take_notices,
    try_lock,
)
from services.notifications.queries.directory import find_contact, fold_companies
from services.notifications.queries.keeping import delete_old_digests, forget_contents
from services.notifications.queries.links import (
    add_wanted_links,
    claim_wanted_link,
    list_short_links,
    mark_link_trouble,
    mark_short,
)
from services.notifications.queries.previews import find_delivery_of, find_last_delivery, list_open_invoices
from services.notifications.queries.showing import (
    count_unknown_by_kind,
    find_delivery,
    find_delivery_id,
    find_fact,
    list_deliveries,
    list_states,
)

__all__ = [
    "add_delivery",
    "add_digest",
    "add_listed_invoices",
    "add_notices",
    "add_open_invoices",
    "add_subscribed",
    "add_wanted_links",
    "claim_next_deliveries",
    "claim_post",
    "claim_wanted_link",
    "count_unknown",
    "count_unknown_by_kind",
    "delete_listed_invoices",
    "delete_old_digests",
    "drop_notices",
    "expire_posts",
    "find_contact",
    "find_content",
    "find_delivery",
    "find_delivery_id",
    "find_delivery_of",
    "find_fact",
    "find_last_delivery",
    "find_last_digest",
    "fold_companies",
    "forget_contents",
    "get_knowledge",
    "hold_posts",
    "list_deliveries",
    "list_due_companies",
    "list_expired_claims",
    "list_open_invoices",
    "list_pending",
    "list_short_links",
    "list_states",
    "list_waiting",
    "lock_free_companies",
    "mark_invoice_closed",
    "mark_link_trouble",
    "mark_outcomes",
    "mark_sending",
    "mark_short",
    "note_post",
    "take_notices",
    "try_lock",
]
