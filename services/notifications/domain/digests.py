"""What our own team is told, and when: notices gather, a digest names their number and the first few."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.envelope import Envelope
from libs.common.events.billing import DisputeOpened
from libs.common.events.directory import RoutineSilent
from libs.common.events.notifications import DeliveryFailed, DeliveryUnknown
from libs.common.events.operations import EventSetAside
from services.notifications.domain.deliveries import Category, Message
from services.notifications.domain.kinds import KINDS
from services.notifications.domain.team import TEAM_ID

Worth: TypeAlias = EventSetAside | DisputeOpened | DeliveryUnknown | DeliveryFailed | RoutineSilent
"""What the team should know."""

PARIS = ZoneInfo("Europe/Paris")
DIGEST_KIND = "team_digest"
SHOWN = 5
LONGEST_LINE = 300
LONGEST_WAIT = timedelta(minutes=30)
FAILURES_WINDOW = timedelta(hours=1)


class Topic(StrEnum):
    """What a notice is about, the most urgent first."""

    SILENT = "routine_silent"
    DISPUTE = "dispute"
    DEAD_LETTER = "dead_letter"
    UNKNOWN = "delivery_unknown"
    FAILED = "delivery_failed"


_TITLES: Mapping[Topic, tuple[str, str]] = {
    Topic.SILENT: ("routine qui n’a pas tourné à temps", "routines qui n’ont pas tourné à temps"),
    Topic.DISPUTE: ("paiement contesté", "paiements contestés"),
    Topic.DEAD_LETTER: ("événement mis de côté", "événements mis de côté"),
    Topic.UNKNOWN: ("message dont nul ne sait s’il est parti", "messages dont nul ne sait s’ils sont partis"),
    Topic.FAILED: ("message non remis", "messages non remis"),
}

_PAGES: Mapping[Topic, str] = {
    Topic.DEAD_LETTER: "/api/set-aside",
}
"""Where admin_api shows all of a topic."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that the team should know, in a line of French; its id is that of the fact."""

    id: UUID
    topic: Topic
    company_id: UUID | None
    line: str
    at: datetime
    event_type: str
    traceparent: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits to be told of one topic."""

    topic: Topic
    count: int
    first_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """The last digest: when it was made, and how long its first notice had waited."""

    made_at: datetime
    wait: timedelta


@dataclass(frozen=True, slots=True)
class Group:
    """One topic of a digest: how many, and the first of them as lines (line, link or None)."""

    topic: Topic
    count: int
    lines: Sequence[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class Plan:
    """`topics` are told once `due_at` has come; `dropped` will not be told any more."""

    topics: Collection[Topic]
    due_at: datetime
    wait: timedelta
    dropped: Collection[Topic] = ()


def notice_of(event: Worth, cause: Envelope) -> Notice | None:
    """None for what would make the team's own messages tell of themselves for ever."""
    company_id: UUID | None = getattr(event, "company_id", None)
    link: str | None = None
    match event:
        case RoutineSilent():
            topic, line, at = Topic.SILENT, _silent(event), event.noticed_at
        case EventSetAside():
            topic, line, at = Topic.DEAD_LETTER, _set_aside(event), event.set_aside_at
        case DisputeOpened():
            topic, line, at = Topic.DISPUTE, _dispute(event), event.opened_at
            link = f"https://dashboard.stripe.com/disputes/{event.dispute_id}"
        case DeliveryUnknown():
            topic, line, at = Topic.UNKNOWN, _delivery(event), event.unknown_at
        case DeliveryFailed():
            topic, line, at = Topic.FAILED, _delivery(event), event.failed_at
    if isinstance(event, DeliveryUnknown | DeliveryFailed) and _is_internal(event.kind):
        return None
    shown = " ".join(line.split())[:LONGEST_LINE]
    return Notice(event.event_id, topic, company_id, shown, at, cause.type, cause.traceparent, link)


def _is_internal(kind: str) -> bool:
    return kind in KINDS and KINDS[kind].category is Category.INTERNAL


def _silent(event: RoutineSilent) -> str:
    expected_by = event.expected_by.astimezone(PARIS)
    return f"{event.routine}, attendue avant le {expected_by:%d/%m/%Y à %H:%M} (relance scheduler list)"


def _set_aside(event: EventSetAside) -> str:
    return f"{event.service} : {event.set_aside_type} ({event.set_aside_key}) : {event.cause}"


def _dispute(event: DisputeOpened) -> str:
    amount = f"{event.amount_cents / 100:.2f}".replace(".", ",") + f" {event.currency.upper()}"
    return f"{amount}, motif « {event.reason or 'inconnu'} », {event.dispute_id}"


def _delivery(event: DeliveryUnknown | DeliveryFailed) -> str:
    return f"{event.kind} par {event.channel}, {event.delivery_id} : {event.answer}"


def plan(
    waiting: Sequence[Waiting], last: Told | None, *, now: datetime, base: timedelta, failures: int
) -> Plan | None:
    """When what waits is told; None while nothing of it is worth a message.

    The first notice waits `base`, so that a burst is one digest. While a flood goes on each digest waits
    twice as long as the one before. Failed messages are worth one from `failures` within an hour.
    """
    worth = [each for each in waiting if each.topic is not Topic.FAILED or each.count >= failures]
    dropped = [each.topic for each in waiting if each not in worth and now - each.first_at > FAILURES_WINDOW]
    if not worth:
        return Plan((), now, base, dropped) if dropped else None
    wait = base
    first_at = min(each.first_at for each in worth)
    if last is not None and first_at < last.made_at + 2 * last.wait:
        wait = min(max(base, 2 * last.wait), max(base, LONGEST_WAIT))
    due_at = max(first_at + base, last.made_at + wait if last is not None else first_at)
    return Plan([each.topic for each in worth], due_at, wait, dropped)


def content_of(groups: Sequence[Group], admin_url: str | None) -> dict[str, Any]:
    """What a digest says, as JSON: the same for mail and Slack."""
    ordered = sorted(groups, key=lambda group: list(Topic).index(group.topic))
    return {
        "customer_name": "",
        "summary": ", ".join(title_of(group) for group in ordered),
        "groups": [
            {
                "topic": group.topic,
                "title": title_of(group),
                "lines": [{"text": text, "link": link} for text, link in group.lines],
                "others": group.count - len(group.lines),
                "link": admin_url.rstrip("/") + page
                if admin_url and (page := _PAGES.get(group.topic))
                else None,
            }
            for group in ordered
        ],
    }


def title_of(group: Group) -> str:
    one, many = _TITLES[group.topic]
    return f"{group.count} {one if group.count == 1 else many}"


def digest_mail(digest_id: UUID, recipient: str, content: Mapping[str, Any]) -> Message:
    return Message(
        kind=DIGEST_KIND,
        dedup_key=f"{DIGEST_KIND}:{digest_id}",
        company_id=TEAM_ID,
        recipient=recipient,
        recipient_name="",
        context=content,
    )
