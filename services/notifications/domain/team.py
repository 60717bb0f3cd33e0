"""Messages to the team itself, beside its digests. Their address is a setting, looked up when they leave."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from libs.common.events import Event
from libs.common.events.billing import DisputeClosed
from libs.common.events.event import uuid_of
from libs.common.events.scheduler import DailyReportDue, FreeNumbersLow
from services.notifications.domain.deliveries import Contact, Message, Status

TEAM_ID: UUID = uuid_of("team")
"""Whose deliveries those are that are about no company."""


def free_numbers_low(event: FreeNumbersLow) -> Message:
    return _message("free_numbers_low", f"{event.prefix}:{event.due_on.isoformat()}", event)


def daily_report(event: DailyReportDue, deliveries: Mapping[Status, int]) -> Message:
    """`deliveries` of the day reported on, by what became of them."""
    counted = {str(status): count for status, count in deliveries.items() if count}
    return _message("daily_report", event.report_on.isoformat(), event, deliveries=counted)


def dispute_closed(event: DisputeClosed, contact: Contact) -> Message:
    happened_at = event.closed_at.isoformat()
    return _message("dispute_closed", event.dispute_id, event, contact=contact, happened_at=happened_at)


def _message(kind: str, key: str, event: Event, contact: Contact | None = None, **more: object) -> Message:
    company = {} if contact is None else {"company_name": contact.name, "company_email": contact.email}
    return Message(
        kind=kind,
        dedup_key=f"{kind}:{key}",
        company_id=getattr(event, "company_id", TEAM_ID),
        recipient=None,
        recipient_name="",
        context={**event.model_dump(mode="json"), **company, **more},
    )
