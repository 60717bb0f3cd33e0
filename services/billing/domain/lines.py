"""What becomes of a company's phone lines while it owes money: a pure decision, and what it leads to.

normal      nothing was done in this episode
restricted  outgoing calls are refused, emergency numbers apart
cut         nothing but emergency numbers
restored    what was done is undone, and the episode is over

An episode is one stretch of being unpaid, from the first open case to the last one closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.billing.domain.dunning import CaseState
from services.billing.domain.facts import deadline_of
from services.billing.domain.policy import Does, Policy, forbidden_why, next_morning


class LineState(StrEnum):
    NORMAL = "normal"
    RESTRICTED = "restricted"
    CUT = "cut"
    RESTORED = "restored"


TOUCHED = (LineState.RESTRICTED, LineState.CUT)


class Verdict(StrEnum):
    """What the decision says is to be done now."""

    WAIT = "wait"
    RESTRICT = "restrict"
    CUT = "cut"
    RESTORE = "restore"
    ASK_A_PERSON = "ask_a_person"


@dataclass(frozen=True, slots=True)
class Lines:
    """A company's lines. `changed_at`: when `state` became what it is."""

    state: LineState = LineState.NORMAL
    episode: int = 0
    is_unpaid: bool = False
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class UnpaidInvoice:
    """An open case: its invoice, since when it is unpaid, and what its dunning is doing."""

    invoice_id: str
    since: datetime
    state: CaseState = CaseState.EXHAUSTED


@dataclass(frozen=True, slots=True)
class Notice:
    """An unpaid notice on one channel, as far as was heard of it, and the invoices that it named."""

    delivery_id: UUID
    invoice_ids: frozenset[str]
    accepted_at: datetime | None
    bounced_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sparing:
    """Why a company is left alone: until a moment, or for good."""

    exempted_until: datetime | None = None
    is_lifetime: bool = False

    def why(self, now: datetime) -> str | None:
        if self.is_lifetime:
            return "lifetime"
        if self.exempted_until is not None and now < self.exempted_until:
            return "exempted"
        return None


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision is made of, read at one moment under the company's lock."""

    lines: Lines
    unpaid: Sequence[UnpaidInvoice] = ()
    notices: Sequence[Notice] = ()
    sparing: Sparing = Sparing()
    # Whose Stripe customer it is, is known: what nobody knows cannot be told apart from somebody's lines.
    is_linked: bool = True

    @property
    def counted(self) -> list[UnpaidInvoice]:
        """Those that nothing is under way for, the earliest, which is the anchor, first."""
        left = [invoice for invoice in self.unpaid if invoice.state is CaseState.EXHAUSTED]
        return sorted(left, key=lambda invoice: (invoice.since, invoice.invoice_id))


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do and why; `next_at` is the earliest moment to decide otherwise, if known."""

    verdict: Verdict
    why: str
    notice: Notice | None = None
    next_at: datetime | None = None

    @property
    def touches(self) -> bool:
        """Whether a customer would lose something by it."""
        return self.verdict in (Verdict.RESTRICT, Verdict.CUT)


def begun(lines: Lines, now: datetime) -> Lines:
    """A first case opened: a new episode. Nothing changes while one goes on."""
    if lines.is_unpaid:
        return lines
    return Lines(LineState.NORMAL, lines.episode + 1, is_unpaid=True, changed_at=now)


def ended(lines: Lines, now: datetime) -> Lines:
    """The last case closed."""
    if lines.state in TOUCHED:
        return replace(lines, state=LineState.RESTORED, is_unpaid=False, changed_at=now)
    return replace(lines, is_unpaid=False)


def after(situation: Situation, decision: Decision, now: datetime) -> Lines:
    """The lines once the decision is carried out. One who is restored and owes still begins a new episode, so
    that what is done to him once more is told once more."""
    lines = situation.lines
    if not situation.unpaid:
        return ended(lines, now)
    match decision.verdict:
        case Verdict.RESTRICT:
            return replace(lines, state=LineState.RESTRICTED, changed_at=now)
        case Verdict.CUT:
            return replace(lines, state=LineState.CUT, changed_at=now)
        case Verdict.RESTORE:
            return begun(ended(lines, now), now)
        case _:
            return lines


def decide(situation: Situation, policy: Policy, now: datetime) -> Decision:
    """Total, and mild in doubt: whatever is not certain waits."""
    lines, counted = situation.lines, situation.counted
    if not situation.unpaid:
        return _restore_or_wait(lines, "paid")
    if (spared := situation.sparing.why(now)) is not None:
        return replace(_restore_or_wait(lines, spared), next_at=situation.sparing.exempted_until)
    if any(invoice.state is CaseState.ATTEMPTING for invoice in situation.unpaid):
        return Decision(Verdict.WAIT, "being_tried")
    if not counted:
        return Decision(Verdict.WAIT, "payment_under_way")
    age = now - counted[0].since
    wanted = policy.wanted(len(counted), age)
    return _towards(wanted, situation, policy, now)


def _restore_or_wait(lines: Lines, why: str) -> Decision:
    return Decision(Verdict.RESTORE if lines.state in TOUCHED else Verdict.WAIT, why)


def _towards(wanted: Does | None, situation: Situation, policy: Policy, now: datetime) -> Decision:
    lines, counted = situation.lines, situation.counted
    if lines.state is LineState.CUT:
        return Decision(Verdict.WAIT, "already_cut")
    if wanted is Does.RESTRICT and lines.state is LineState.RESTRICTED:
        next_at = policy.due_at(Does.CUT, len(counted), counted[0].since)
        return Decision(Verdict.WAIT, "already_restricted", next_at=next_at)
    if wanted not in (Does.RESTRICT, Does.CUT):
        next_at = policy.due_at(Does.RESTRICT, len(counted), counted[0].since)
        return Decision(Verdict.WAIT, "not_due_yet", next_at=next_at)
    # Never two steps at once: who is restricted has a day to notice it.
    if wanted is Does.CUT and policy.restricts and lines.state is LineState.NORMAL:
        return _if_allowed(Verdict.RESTRICT, situation, policy, now)
    if wanted is Does.CUT and _changed_today(lines, policy, now):
        tomorrow = next_morning(policy, now.astimezone(policy.zone) + timedelta(hours=12))
        return Decision(Verdict.WAIT, "restricted_today", next_at=tomorrow)
    return _if_allowed(Verdict(wanted), situation, policy, now)


def _changed_today(lines: Lines, policy: Policy, now: datetime) -> bool:
    if lines.state is not LineState.RESTRICTED or lines.changed_at is None:
        return False
    return lines.changed_at.astimezone(policy.zone).date() >= now.astimezone(policy.zone).date()


def _if_allowed(verdict: Verdict, situation: Situation, policy: Policy, now: datetime) -> Decision:
    """With a notice that had its time, and at a moment at which the customer can still help himself."""
    if not situation.is_linked:
        return Decision(Verdict.ASK_A_PERSON, "not_linked")
    anchor = situation.counted[0]
    reached = [n for n in situation.notices if _reached(n, anchor)]
    notice_time = timedelta(hours=policy.notice_hours)
    valid = [n for n in reached if n.accepted_at is not None and n.accepted_at + notice_time <= now]
    if not valid:
        return _without_notice(reached, anchor, policy, now)
    if (why := forbidden_why(policy, now)) is not None:
        return Decision(Verdict.WAIT, why, next_at=next_morning(policy, now))
    return Decision(verdict, "overdue", notice=min(valid, key=lambda n: (n.accepted_at, n.delivery_id)))


def _reached(notice: Notice, anchor: UnpaidInvoice) -> bool:
    """It named the invoice that the age is counted from, and did not come back."""
    is_told = notice.accepted_at is not None and notice.bounced_at is None
    return is_told and anchor.invoice_id in notice.invoice_ids


def _without_notice(
    reached: Sequence[Notice], anchor: UnpaidInvoice, policy: Policy, now: datetime
) -> Decision:
    times = [n.accepted_at for n in reached if n.accepted_at is not None]
    if times:
        next_at = min(times) + timedelta(hours=policy.notice_hours)
        return Decision(Verdict.WAIT, "notice_too_recent", next_at=next_at)
    asks_at = deadline_of(anchor.since, policy.deadline_days) + timedelta(days=policy.days_until_person)
    if now >= asks_at:
        return Decision(Verdict.ASK_A_PERSON, "no_valid_notice")
    return Decision(Verdict.WAIT, "no_valid_notice", next_at=asks_at)
