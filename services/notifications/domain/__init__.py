"""Decisions of notifications: which message a fact makes, whether it is sent, what an answer means."""

from services.notifications.domain.decisions import (
    AllowList,
    Outcome,
    Result,
    Send,
    after_temporary_failure,
    decide,
    fact_of,
    stop_of,
    suppressed,
)
from services.notifications.domain.deliveries import (
    Category,
    Channel,
    Delivery,
    Knowledge,
    Letter,
    Listed,
    Message,
    Status,
    Why,
)
from services.notifications.domain.kinds import KINDS, Kind
from services.notifications.domain.messages import (
    context_to_send,
    payment_action_required,
    payment_receipt,
    payment_recovered,
    signup,
    unpaid,
)

__all__ = [
    "KINDS",
    "AllowList",
    "Category",
    "Channel",
    "Delivery",
    "Kind",
    "Knowledge",
    "Letter",
    "Listed",
    "Message",
    "Outcome",
    "Result",
    "Send",
    "Status",
    "Why",
    "after_temporary_failure",
    "context_to_send",
    "decide",
    "fact_of",
    "payment_action_required",
    "payment_receipt",
    "payment_recovered",
    "signup",
    "stop_of",
    "suppressed",
    "unpaid",
]
