"""What is kept of a delivery once its time is over: the record, and nothing that a customer said or owes."""

from __future__ import annotations

IMPERSONAL = frozenset(
    {
        "attempt_count", "billing_cycle", "cases_being_tried", "currency", "days", "deadline_at", "due_at",
        "episode", "invoice_id", "is_recovered", "paid_at", "stage", "step", "subscription_id",
    }
)  # fmt: skip
"""The parts of a `context` that stay. Whatever is not named here is taken for personal: a kind that is added
later forgets rather too much than too little."""
