"""What a word that comes after a message was handed over changes: forward only, whatever order words come in.

A word is a provider's callback or look-up, or a person's. Each status has a rank; a lower one never follows
a higher one, so that any order of the same words ends in the same status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.notifications.domain.decisions import Outcome
from services.notifications.domain.deliveries import Status, Why

RANKS: Mapping[Status, int] = {
    Status.PENDING: 0,
    Status.SENDING: 1,
    Status.SUPPRESSED: 2,
    Status.EXPIRED: 3,
    Status.UNKNOWN: 4,
    Status.ACCEPTED: 5,
    Status.FAILED: 6,
    Status.DELIVERED: 7,
    # After `delivered`: a mailbox's server may take a mail and send it back later.
    Status.BOUNCED: 8,
}


class Verdict(StrEnum):
    """What was said of the address itself."""

    BOUNCES = "bounces"
    COMPLAINED = "complained"
    STOPPED = "stopped"
    UNSUBSCRIBED = "unsubscribed"


@dataclass(frozen=True, slots=True)
class Report:
    """`status` None: it says nothing of where the message stands."""

    status: Status | None
    text: str
    provider_id: str | None = None
    verdict: Verdict | None = None


def after_report(status: Status, report: Report) -> list[Outcome]:
    """The steps from where the delivery stands to where the report says it is; none, if that is no step
    forward. What was delivered, or came back, was accepted before, and is told so first."""
    wanted = report.status
    if wanted is None or RANKS[wanted] <= RANKS[status]:
        return []
    why = Why.CAME_BACK if wanted is Status.BOUNCED else None
    steps = [Outcome(wanted, report.text, why, provider_id=report.provider_id)]
    if RANKS[status] < RANKS[Status.ACCEPTED] < RANKS[wanted]:
        steps.insert(0, Outcome(Status.ACCEPTED, report.text, provider_id=report.provider_id))
    return steps


# RFC 3463: no such mailbox or system, moved, disabled; Microsoft's for an address not in its directory.
_DEAD_CODE = re.compile(r"\b5\.(?:1\.(?:1|2|3|6|10)|2\.1|4\.1)\b")
_PERMANENT_CODE = re.compile(r"\b5\.\d{1,3}\.\d{1,3}\b")
# For servers without such codes: 550, 551 and 553 are about the mailbox, when they say so.
_DEAD_WORDS = re.compile(
    r"\b55[013]\b.*(?:user unknown|unknown user|no such (?:user|mailbox|recipient|address)"
    r"|does(?:n't| not) exist|invalid (?:recipient|mailbox|address)|recipient not found"
    r"|mailbox (?:not found|unavailable|disabled))",
    re.IGNORECASE | re.DOTALL,
)


def is_dead_address(answer: str) -> bool:
    """Whether a mail server's answer says that the address takes no mail, and never will."""
    if _PERMANENT_CODE.search(answer):
        return _DEAD_CODE.search(answer) is not None
    return _DEAD_WORDS.search(answer) is not None


def is_permanent(answer: str) -> bool:
    """Whether an answer reads as final, although somebody calls it deferred."""
    return _PERMANENT_CODE.search(answer) is not None or _DEAD_WORDS.search(answer) is not None
