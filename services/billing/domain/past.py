"""What is recorded of a company's dunning, as plain values: to explain it, and to try another policy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.billing.domain.dunning import CaseState
from services.billing.domain.lines import Lines, LineState, Notice, Situation, Sparing, UnpaidInvoice


@dataclass(frozen=True, slots=True)
class PastTry:
    """One saved method of a cycle, and what became of it."""

    label: str
    state: str
    why: str | None
    decline_code: str | None
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class PastCycle:
    """One attempt of Stripe's own schedule."""

    attempt_count: int
    opened_at: datetime
    finished_at: datetime | None
    outcome: str | None
    causation_id: UUID
    tries: tuple[PastTry, ...] = ()


@dataclass(frozen=True, slots=True)
class PastCase:
    """The dunning of one invoice."""

    invoice_id: str
    number: str | None
    amount_cents: int
    currency: str
    state: CaseState
    opened_at: datetime
    closed_at: datetime | None
    closed_why: str | None
    causation_id: UUID
    cycles: tuple[PastCycle, ...] = ()

    def state_at(self, moment: datetime) -> CaseState | None:
        """None before it was opened and after it was closed. Debits in processing are not recorded."""
        if moment < self.opened_at or (self.closed_at is not None and moment >= self.closed_at):
            return None
        is_tried = any(c.opened_at <= moment and (c.finished_at or moment) > moment for c in self.cycles)
        return CaseState.ATTEMPTING if is_tried else CaseState.EXHAUSTED


@dataclass(frozen=True, slots=True)
class PastNotice:
    """An unpaid notice, with the kind that it was of."""

    notice: Notice
    kind: str
    channel: str

    def at(self, moment: datetime) -> Notice | None:
        """As it was known at a moment."""
        notice = self.notice
        if notice.accepted_at is None or notice.accepted_at > moment:
            return None
        came_back = notice.bounced_at is not None and notice.bounced_at <= moment
        return Notice(
            notice.delivery_id,
            notice.invoice_ids,
            notice.accepted_at,
            notice.bounced_at if came_back else None,
        )


@dataclass(frozen=True, slots=True)
class PastExemption:
    """Somebody's word: spared until then."""

    at: datetime
    until: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class PastLifetime:
    """Somebody's word: subscribed for life, or no longer."""

    at: datetime
    is_granted: bool
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class PastChange:
    """What was done to the lines."""

    state: LineState
    episode: int
    at: datetime
    why: str
    policy_version: str
    notice_delivery_id: UUID | None
    causation_id: UUID | None


@dataclass(frozen=True, slots=True)
class Past:
    """All of one company, each in the order of time."""

    company_id: UUID
    name: str | None
    legacy_enterprise_id: int | None
    cases: tuple[PastCase, ...]
    notices: tuple[PastNotice, ...] = ()
    exemptions: tuple[PastExemption, ...] = ()
    lifetimes: tuple[PastLifetime, ...] = ()
    changes: tuple[PastChange, ...] = ()

    def situation_at(self, moment: datetime, lines: Lines) -> Situation:
        """What a decision would have been made of, with lines as the one who asks has them."""
        states = [(case, case.state_at(moment)) for case in self.cases]
        unpaid = [UnpaidInvoice(c.invoice_id, c.opened_at, s) for c, s in states if s is not None]
        notices = [notice for past in self.notices if (notice := past.at(moment)) is not None]
        return Situation(lines, unpaid, notices, self._sparing_at(moment))

    def _sparing_at(self, moment: datetime) -> Sparing:
        untils = [exemption.until for exemption in self.exemptions if exemption.at <= moment]
        granted = [lifetime.is_granted for lifetime in self.lifetimes if lifetime.at <= moment]
        return Sparing(untils[-1] if untils else None, granted[-1] if granted else False)
