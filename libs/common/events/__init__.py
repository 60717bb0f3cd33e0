"""Every fact, once. A module a teller; `EVENTS` holds them all by wire type."""

from libs.common.events import billing, directory, notifications, operations, scheduler, stripe
from libs.common.events.event import EVENTS, CompanyEvent, Event, provisional_company_id

TELLERS = ("stripe", "directory", "billing", "scheduler", "notifications")
"""Who tells facts; each has one topic, `<teller>.events`."""

__all__ = [
    "EVENTS",
    "TELLERS",
    "CompanyEvent",
    "Event",
    "billing",
    "directory",
    "notifications",
    "operations",
    "provisional_company_id",
    "scheduler",
    "stripe",
]
