"""The dunning case of one unpaid invoice: a pure state machine, state + fact → new state + what to do.

attempting  our tries of a cycle (invoice, attempt_count) are under way
waiting     a payment is being processed elsewhere (a SEPA debit): nothing is tried meanwhile
exhausted   every saved method of the cycle was tried
closed      paid, voided or written off
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from libs.integrations.stripe import ChargeOutcome


class CaseState(StrEnum):
    ATTEMPTING = "attempting"
    WAITING = "waiting"
    EXHAUSTED = "exhausted"
    CLOSED = "closed"


class Action(StrEnum):
    """What the caller does, in the same transaction as the new state."""

    BEGIN_CYCLE = "begin_cycle"
    RESUME_CYCLE = "resume_cycle"
    TELL_PAID = "tell_paid"
    TELL_RECOVERED = "tell_recovered"
    TELL_ACTION_REQUIRED = "tell_action_required"
    TELL_UNPAID = "tell_unpaid"
    TELL_CLOSED = "tell_closed"


@dataclass(frozen=True, slots=True)
class Case:
    """`attempt_count` is the cycle being worked; `queued_attempt_count` one that came meanwhile.

    `is_trying`: a try was begun and not settled, so nobody but its settler may say who paid.
    `is_paid_seen`: Stripe said paid during such a try.
    """

    state: CaseState
    attempt_count: int
    queued_attempt_count: int | None = None
    is_trying: bool = False
    is_paid_seen: bool = False
    closed_why: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Stripe could not collect, by itself or by somebody else's try: never one of ours."""

    attempt_count: int
    is_invoice_open: bool


@dataclass(frozen=True, slots=True)
class Paid:
    """Stripe says that the invoice is paid."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The invoice was voided, or marked uncollectible."""

    why: str


@dataclass(frozen=True, slots=True)
class TryBegun:
    """A try of ours is about to be made."""


@dataclass(frozen=True, slots=True)
class TrySettled:
    """A try of ours has its answer."""

    outcome: ChargeOutcome


@dataclass(frozen=True, slots=True)
class AllTried:
    """No method is left in the cycle; `invoice_status` is the live invoice's."""

    invoice_status: str
    needs_customer: bool = False


Fact = Failed | Paid | GivenUp | TryBegun | TrySettled | AllTried


@dataclass(frozen=True, slots=True)
class Step:
    """The case after the fact (None: there is none), what to do, and, where nothing is done, why."""

    case: Case | None
    actions: tuple[Action, ...] = ()
    why_not: str | None = None


def advance(case: Case | None, fact: Fact) -> Step:
    """Total: every fact in every state has an answer, however late or often it comes."""
    return _RULES[type(fact)](case, fact)


def _failed(case: Case | None, fact: Failed) -> Step:
    if not fact.is_invoice_open:
        return Step(case, why_not="the invoice is not open")
    if case is None:
        return Step(Case(CaseState.ATTEMPTING, fact.attempt_count), (Action.BEGIN_CYCLE,))
    if case.state is CaseState.CLOSED:
        return Step(case, why_not="the case is closed")
    if fact.attempt_count > case.attempt_count:
        return _failed_anew(case, fact.attempt_count)
    return _failed_again(case, fact.attempt_count)


def _failed_anew(case: Case, attempt_count: int) -> Step:
    if case.state is CaseState.ATTEMPTING:
        queued = max(case.queued_attempt_count or 0, attempt_count)
        return Step(replace(case, queued_attempt_count=queued), why_not="queued behind the cycle under way")
    begun = replace(case, state=CaseState.ATTEMPTING, attempt_count=attempt_count)
    return Step(begun, (Action.BEGIN_CYCLE,))


def _failed_again(case: Case, attempt_count: int) -> Step:
    """A known cycle once more: only a payment that was being processed has news in that."""
    if case.state is CaseState.WAITING and attempt_count == case.attempt_count:
        return Step(replace(case, state=CaseState.ATTEMPTING), (Action.RESUME_CYCLE,))
    return Step(case, why_not="this cycle is known")


def _paid(case: Case | None, _: Paid) -> Step:
    if case is None:
        return Step(None, (Action.TELL_PAID,))
    if case.state is CaseState.CLOSED:
        return _paid_after_close(case)
    if case.is_trying or (case.state is CaseState.ATTEMPTING and case.is_paid_seen):
        return Step(replace(case, is_paid_seen=True), why_not="the try under way will tell who paid")
    if case.state is CaseState.WAITING:
        # Whose payment that was, of our try days ago or somebody else's, is read from the live one.
        resumed = replace(case, state=CaseState.ATTEMPTING, is_paid_seen=True)
        return Step(resumed, (Action.RESUME_CYCLE,))
    return Step(_closed(case, "paid"), (Action.TELL_PAID, Action.TELL_CLOSED))


def _paid_after_close(case: Case) -> Step:
    if case.closed_why == "paid":
        return Step(case, why_not="told already")
    return Step(_closed(case, "paid"), (Action.TELL_PAID,))


def _given_up(case: Case | None, fact: GivenUp) -> Step:
    if case is None or case.state is CaseState.CLOSED:
        return Step(case, why_not="there is no open case")
    return Step(_closed(case, fact.why), (Action.TELL_CLOSED,))


def _try_begun(case: Case | None, _: TryBegun) -> Step:
    if case is None or case.state is not CaseState.ATTEMPTING or case.is_paid_seen:
        return Step(case, why_not="nothing more is to be tried")
    return Step(replace(case, is_trying=True))


def _try_settled(case: Case | None, fact: TrySettled) -> Step:
    if case is None:
        return Step(None, why_not="there is no case")
    settled = replace(case, is_trying=False)
    if fact.outcome is ChargeOutcome.SUCCEEDED:
        return _recovered(settled)
    if settled.state is CaseState.CLOSED:
        return Step(settled, why_not="the case closed meanwhile")
    if fact.outcome is ChargeOutcome.ALREADY_PAID or settled.is_paid_seen:
        return Step(_closed(settled, "paid"), (Action.TELL_PAID, Action.TELL_CLOSED))
    if fact.outcome is ChargeOutcome.PROCESSING:
        return Step(replace(settled, state=CaseState.WAITING))
    return Step(settled)


def _recovered(case: Case) -> Step:
    if case.state is CaseState.CLOSED and case.closed_why == "paid":
        return Step(case, why_not="told already")
    told = (Action.TELL_PAID, Action.TELL_RECOVERED)
    if case.state is CaseState.CLOSED:
        return Step(_closed(case, "paid"), told)
    return Step(_closed(case, "paid"), (*told, Action.TELL_CLOSED))


def _all_tried(case: Case | None, fact: AllTried) -> Step:
    if case is None or case.state is not CaseState.ATTEMPTING:
        return Step(case, why_not="the case is not being attempted")
    if fact.invoice_status == "paid" or case.is_paid_seen:
        return Step(_closed(case, "paid"), (Action.TELL_PAID, Action.TELL_CLOSED))
    if fact.invoice_status != "open":
        return Step(_closed(case, fact.invoice_status), (Action.TELL_CLOSED,))
    told = Action.TELL_ACTION_REQUIRED if fact.needs_customer else Action.TELL_UNPAID
    if case.queued_attempt_count is not None:
        following = replace(case, attempt_count=case.queued_attempt_count, queued_attempt_count=None)
        return Step(following, (told, Action.BEGIN_CYCLE))
    return Step(replace(case, state=CaseState.EXHAUSTED), (told,))


def _closed(case: Case, why: str) -> Case:
    return replace(case, state=CaseState.CLOSED, closed_why=why, queued_attempt_count=None)


_RULES: dict[type, Callable[..., Step]] = {
    Failed: _failed,
    Paid: _paid,
    GivenUp: _given_up,
    TryBegun: _try_begun,
    TrySettled: _try_settled,
    AllTried: _all_tried,
}
