"""The state machine of a dunning case, attacked with every sequence of facts that hypothesis thinks of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.integrations.stripe import ChargeOutcome
from services.billing.domain import (
    Action,
    AllTried,
    Case,
    CaseState,
    Failed,
    GivenUp,
    Paid,
    Step,
    TryBegun,
    TrySettled,
    advance,
)

cases = st.none() | st.builds(
    Case,
    state=st.sampled_from(CaseState),
    attempt_count=st.integers(1, 4),
    queued_attempt_count=st.none() | st.integers(1, 6),
    is_trying=st.booleans(),
    is_paid_seen=st.booleans(),
    closed_why=st.none() | st.sampled_from(["paid", "voided", "uncollectible"]),
)
facts = st.one_of(
    st.builds(Failed, attempt_count=st.integers(1, 6), is_invoice_open=st.booleans()),
    st.just(Paid()),
    st.builds(GivenUp, why=st.sampled_from(["voided", "uncollectible"])),
    st.just(TryBegun()),
    st.builds(TrySettled, outcome=st.sampled_from(ChargeOutcome)),
    st.builds(
        AllTried, invoice_status=st.sampled_from(["open", "paid", "void"]), needs_customer=st.booleans()
    ),
)


@given(case=cases, fact=facts)
@settings(max_examples=500)
def test_every_fact_in_every_state_has_an_answer(case: Case | None, fact: object) -> None:
    step = advance(case, fact)  # type: ignore[arg-type]
    assert step.case is not None or case is None, "a case never vanishes"
    if step.why_not:
        assert step.actions == ()


@given(fact=facts, why=st.sampled_from(["paid", "voided"]))
def test_a_closed_case_never_opens_again(fact: object, why: str) -> None:
    closed = Case(CaseState.CLOSED, 2, closed_why=why)
    step = advance(closed, fact)  # type: ignore[arg-type]
    assert step.case is not None
    assert step.case.state is CaseState.CLOSED
    assert Action.BEGIN_CYCLE not in step.actions
    assert Action.TELL_UNPAID not in step.actions


@given(count=st.integers(1, 5))
def test_a_repeated_failure_of_a_cycle_restarts_nothing(count: int) -> None:
    first = advance(None, Failed(count, is_invoice_open=True))
    again = advance(first.case, Failed(count, is_invoice_open=True))
    assert first.actions == (Action.BEGIN_CYCLE,)
    assert (again.case, again.actions) == (first.case, ())


def test_stripe_says_paid_while_our_try_is_under_way() -> None:
    case = Case(CaseState.ATTEMPTING, 1, is_trying=True)
    seen = advance(case, Paid())
    assert seen.actions == ()
    settled = advance(seen.case, TrySettled(ChargeOutcome.SUCCEEDED))
    assert settled.actions == (Action.TELL_PAID, Action.TELL_RECOVERED, Action.TELL_CLOSED)


def test_somebody_else_paid_while_our_try_was_declined() -> None:
    seen = advance(Case(CaseState.ATTEMPTING, 1, is_trying=True), Paid())
    settled = advance(seen.case, TrySettled(ChargeOutcome.DECLINED))
    assert settled.actions == (Action.TELL_PAID, Action.TELL_CLOSED)


def test_an_invoice_written_off_and_then_paid_is_told_as_paid() -> None:
    closed = advance(Case(CaseState.EXHAUSTED, 1), GivenUp("uncollectible"))
    assert advance(closed.case, Paid()).actions == (Action.TELL_PAID,)


def test_a_cycle_that_came_meanwhile_is_worked_next() -> None:
    queued = advance(Case(CaseState.ATTEMPTING, 1), Failed(2, is_invoice_open=True))
    step = advance(queued.case, AllTried("open"))
    assert step.actions == (Action.TELL_UNPAID, Action.BEGIN_CYCLE)
    assert step.case == Case(CaseState.ATTEMPTING, 2)


@dataclass
class Books:
    """What was told, counted."""

    unpaid: Counter[int] = field(default_factory=Counter)
    paid: int = 0
    recovered: int = 0
    closed: int = 0
    successes: int = 0


class DunningLife(RuleBasedStateMachine):
    """Webhooks in any order and number, a worker that tries, dies, comes back: what is told stays right."""

    def __init__(self) -> None:
        super().__init__()
        self.case: Case | None = None
        self.books = Books()

    def apply(self, step: Step, attempt_count: int = 0) -> None:
        self.case = step.case
        for action in step.actions:
            if action in (Action.TELL_UNPAID, Action.TELL_ACTION_REQUIRED):
                self.books.unpaid[attempt_count] += 1
            self.books.paid += action is Action.TELL_PAID
            self.books.recovered += action is Action.TELL_RECOVERED
            self.books.closed += action is Action.TELL_CLOSED

    @rule(attempt_count=st.integers(1, 4), is_open=st.booleans())
    def stripe_says_failed(self, attempt_count: int, is_open: bool) -> None:
        self.apply(advance(self.case, Failed(attempt_count, is_open)))

    @rule()
    def stripe_says_paid(self) -> None:
        # Without a case the fact's own id (one an invoice) keeps InvoicePaid single.
        if self.case is not None:
            self.apply(advance(self.case, Paid()))

    @rule(why=st.sampled_from(["voided", "uncollectible"]))
    def stripe_says_given_up(self, why: str) -> None:
        self.apply(advance(self.case, GivenUp(why)))

    @rule(outcome=st.sampled_from(ChargeOutcome), dies=st.booleans())
    def we_try(self, outcome: ChargeOutcome, dies: bool) -> None:
        begun = advance(self.case, TryBegun())
        if begun.why_not:
            return
        self.apply(begun)
        if not dies:
            self.books.successes += outcome is ChargeOutcome.SUCCEEDED
            self.apply(advance(self.case, TrySettled(outcome)))

    @rule(status=st.sampled_from(["open", "paid", "void"]), needs_customer=st.booleans())
    def all_are_tried(self, status: str, needs_customer: bool) -> None:
        if self.case is not None:
            cycle = self.case.attempt_count
            self.apply(advance(self.case, AllTried(status, needs_customer)), cycle)

    @invariant()
    def one_notice_a_cycle(self) -> None:
        assert all(count == 1 for count in self.books.unpaid.values()), self.books.unpaid

    @invariant()
    def paid_recovered_and_closed_at_most_once(self) -> None:
        assert self.books.paid <= 1
        assert self.books.closed <= 1
        assert self.books.recovered <= min(1, self.books.successes)

    @invariant()
    def a_closed_case_was_told(self) -> None:
        if self.case is not None and self.case.state is CaseState.CLOSED:
            assert self.books.closed == 1


TestDunningLife = DunningLife.TestCase
TestDunningLife.settings = settings(max_examples=300, stateful_step_count=30)


def test_whose_payment_was_waited_for_is_asked_once_it_has_paid() -> None:
    step = advance(Case(CaseState.WAITING, 2), Paid())
    assert step.actions == (Action.RESUME_CYCLE,)
    assert advance(step.case, Paid()).actions == (), "Stripe tells it twice, as paid and as succeeded"
    ours = advance(step.case, TrySettled(ChargeOutcome.SUCCEEDED))
    assert ours.actions == (Action.TELL_PAID, Action.TELL_RECOVERED, Action.TELL_CLOSED)
    theirs = advance(step.case, AllTried("paid"))
    assert theirs.actions == (Action.TELL_PAID, Action.TELL_CLOSED)
