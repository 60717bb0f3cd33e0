"""What becomes of a company's lines, attacked with every sequence of events that hypothesis thinks of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from libs.common.events.event import NAMESPACE
from services.billing.domain import (
    TOUCHED,
    CaseState,
    Decision,
    Lines,
    LineState,
    Notice,
    Situation,
    Sparing,
    UnpaidInvoice,
    Verdict,
    after,
    begun,
    decide,
    ended,
)
from services.billing.domain.policy import Does, forbidden_why
from services.billing.settings import load_policy

POLICY = load_policy(None)
PARIS = ZoneInfo("Europe/Paris")
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=PARIS)
NORMAL = Lines(LineState.NORMAL, 1, is_unpaid=True)


def owing(*days: int, state: CaseState = CaseState.EXHAUSTED) -> list[UnpaidInvoice]:
    return [UnpaidInvoice(f"in_{n}", MONDAY - timedelta(days=d), state) for n, d in enumerate(days, start=1)]


def notice(*invoice_ids: str, hours: float = 72, bounced: bool = False, channel: str = "mail") -> Notice:
    return Notice(
        uuid5(NAMESPACE, f"{invoice_ids}{hours}{channel}"),
        frozenset(invoice_ids or ("in_1",)),
        MONDAY - timedelta(hours=hours),
        MONDAY if bounced else None,
    )


def decided(situation: Situation, now: datetime = MONDAY) -> Decision:
    return decide(situation, POLICY, now)


OVERDUE = Situation(NORMAL, owing(14), [notice()])
RESTRICTED = Lines(LineState.RESTRICTED, 1, is_unpaid=True, changed_at=MONDAY - timedelta(days=3))


def test_the_deadline_restricts_and_names_its_notice() -> None:
    decision = decided(OVERDUE)
    assert (decision.verdict, decision.why) == (Verdict.RESTRICT, "overdue")
    assert decision.notice == notice()


def test_a_week_later_it_cuts() -> None:
    assert decided(Situation(RESTRICTED, owing(20), [notice()])).why == "already_restricted"
    assert decided(Situation(RESTRICTED, owing(21), [notice()])).verdict is Verdict.CUT
    assert decided(Situation(replace(RESTRICTED, state=LineState.CUT), owing(30), [notice()])).verdict is (
        Verdict.WAIT
    )


def test_many_unpaid_invoices_cut_sooner_but_never_two_steps_at_once() -> None:
    three = Situation(NORMAL, owing(15, 10, 5), [notice()])
    assert decided(three).verdict is Verdict.RESTRICT
    today = replace(RESTRICTED, changed_at=MONDAY - timedelta(minutes=1))
    waits = decided(replace(three, lines=today))
    assert (waits.verdict, waits.why, waits.next_at) == (
        Verdict.WAIT, "restricted_today", MONDAY + timedelta(days=1)
    )  # fmt: skip
    assert decided(replace(three, lines=RESTRICTED)).verdict is Verdict.CUT


def test_a_policy_without_restrictions_cuts_at_once() -> None:
    stages = tuple(stage for stage in POLICY.stages if stage.does is not Does.RESTRICT)
    assert decide(
        Situation(NORMAL, owing(21), [notice()]), replace(POLICY, stages=stages), MONDAY
    ).verdict is (Verdict.CUT)


@pytest.mark.parametrize(
    ("notices", "why"),
    [
        ([], "no_valid_notice"),
        ([notice(hours=47)], "notice_too_recent"),
        ([notice(bounced=True)], "no_valid_notice"),
        ([notice("in_9")], "no_valid_notice"),
        ([replace(notice(), accepted_at=None)], "no_valid_notice"),
    ],
    ids=["none", "too recent", "bounced", "about another invoice", "never accepted"],
)
def test_without_a_valid_notice_nothing_is_done(notices: list[Notice], why: str) -> None:
    decision = decided(replace(OVERDUE, notices=notices))
    assert (decision.verdict, decision.why) == (Verdict.WAIT, why)


def test_a_notice_that_came_back_on_one_channel_and_arrived_on_another_counts() -> None:
    both = [notice(bounced=True), notice(channel="sms")]
    assert decided(replace(OVERDUE, notices=both)).verdict is Verdict.RESTRICT


def test_five_days_without_a_valid_notice_ask_a_person() -> None:
    assert decided(Situation(NORMAL, owing(18), [])).next_at == MONDAY + timedelta(days=1)
    assert decided(Situation(NORMAL, owing(19), [])).verdict is Verdict.ASK_A_PERSON
    assert decided(Situation(NORMAL, owing(40), [notice(bounced=True)])).verdict is Verdict.ASK_A_PERSON


def test_the_earliest_paid_moves_the_anchor() -> None:
    two = Situation(NORMAL, owing(20, 3), [notice("in_1", "in_2")])
    assert decided(two).verdict is Verdict.RESTRICT
    later = Situation(NORMAL, owing(20, 3)[1:], two.notices)
    assert (decided(later).why, decided(later).next_at) == ("not_due_yet", MONDAY + timedelta(days=11))


@pytest.mark.parametrize("state", [CaseState.ATTEMPTING, CaseState.WAITING])
def test_while_a_payment_is_under_way_nothing_is_done(state: CaseState) -> None:
    assert decided(replace(OVERDUE, unpaid=owing(40, state=state))).verdict is Verdict.WAIT


def test_a_spared_company_is_left_alone_and_gets_its_lines_back() -> None:
    exempted = Sparing(exempted_until=MONDAY + timedelta(days=9))
    assert decided(replace(OVERDUE, sparing=exempted)).why == "exempted"
    assert decided(replace(OVERDUE, sparing=exempted)).next_at == MONDAY + timedelta(days=9)
    assert decided(replace(OVERDUE, sparing=Sparing(is_lifetime=True))).why == "lifetime"
    over = Sparing(exempted_until=MONDAY)
    assert decided(replace(OVERDUE, sparing=over)).verdict is Verdict.RESTRICT
    restores = decided(replace(OVERDUE, lines=RESTRICTED, sparing=exempted))
    assert restores.verdict is Verdict.RESTORE
    again = after(replace(OVERDUE, lines=RESTRICTED), restores, MONDAY)
    assert (again.state, again.episode, again.is_unpaid) == (LineState.NORMAL, 2, True)


def test_everything_paid_restores_and_the_next_unpaid_invoice_begins_another_episode() -> None:
    restored = ended(RESTRICTED, MONDAY)
    assert (restored.state, restored.episode, restored.is_unpaid) == (LineState.RESTORED, 1, False)
    assert ended(restored, MONDAY) == restored
    assert decided(Situation(restored)).verdict is Verdict.WAIT
    unnoticed = Situation(RESTRICTED)
    assert after(unnoticed, decided(unnoticed), MONDAY) == restored
    assert begun(restored, MONDAY) == Lines(LineState.NORMAL, 2, is_unpaid=True, changed_at=MONDAY)
    assert begun(NORMAL, MONDAY) == NORMAL


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (MONDAY + timedelta(days=4, hours=3), "friday_afternoon"),
        (MONDAY + timedelta(days=5), "weekend"),
        (datetime(2026, 12, 25, 9, tzinfo=PARIS), "public_holiday"),
        (datetime(2026, 12, 24, 9, tzinfo=PARIS), "eve_of_public_holiday"),
    ],
)
def test_a_forbidden_moment_waits_for_the_next_working_morning(now: datetime, why: str) -> None:
    decision = decided(OVERDUE, now)
    assert (decision.verdict, decision.why) == (Verdict.WAIT, why)
    assert decision.next_at is not None
    assert forbidden_why(POLICY, decision.next_at) is None


INVOICES = st.sampled_from(["in_1", "in_2", "in_3"])


class CompanyLife(RuleBasedStateMachine):
    """One company; whenever it is decided, the promises of the design are looked at one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.now = MONDAY
        self.lines = Lines()
        self.open: dict[str, UnpaidInvoice] = {}
        self.notices: list[Notice] = []
        self.sparing = Sparing()
        self.told: list[tuple[LineState, int]] = []
        self.count = 0

    @rule(hours=st.integers(1, 24 * 9))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(invoice=INVOICES)
    def an_invoice_fails(self, invoice: str) -> None:
        self.count += 1
        name = f"{invoice}_{self.count}"
        self.lines = begun(self.lines, self.now)
        self.open[name] = UnpaidInvoice(name, self.now)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), state=st.sampled_from(list(CaseState)[:3]))
    def its_dunning_goes_on(self, data: st.DataObject, state: CaseState) -> None:
        name = data.draw(st.sampled_from(sorted(self.open)))
        self.open[name] = replace(self.open[name], state=state)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def an_invoice_is_paid(self, data: st.DataObject) -> None:
        self.open.pop(data.draw(st.sampled_from(sorted(self.open))))
        if not self.open:
            self._become(ended(self.lines, self.now))

    @rule()
    def everything_is_paid(self) -> None:
        self.open.clear()
        self._become(ended(self.lines, self.now))

    @precondition(lambda self: self.open)
    @rule(is_accepted=st.booleans())
    def a_notice_is_sent(self, is_accepted: bool) -> None:
        name = uuid5(NAMESPACE, str(len(self.notices)))
        at = self.now if is_accepted else None
        self.notices.append(Notice(UUID(str(name)), frozenset(self.open), at))

    @precondition(lambda self: self.notices)
    @rule(data=st.data())
    def a_notice_comes_back(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.notices) - 1))
        self.notices[place] = replace(self.notices[place], bounced_at=self.now)

    @rule(days=st.integers(-3, 20), is_lifetime=st.booleans())
    def somebody_spares_it_or_no_longer(self, days: int, is_lifetime: bool) -> None:
        self.sparing = Sparing(self.now + timedelta(days=days), is_lifetime and days > 15)

    @rule()
    def it_is_decided(self) -> None:
        situation = Situation(self.lines, list(self.open.values()), list(self.notices), self.sparing)
        decision = decide(situation, POLICY, self.now)
        if decision.touches:
            self._look_at(decision, situation)
        self._become(after(situation, decision, self.now))

    def _look_at(self, decision: Decision, situation: Situation) -> None:
        assert forbidden_why(POLICY, self.now) is None
        assert self.now.astimezone(PARIS).weekday() < 5
        assert self.sparing.why(self.now) is None
        assert decision.notice is not None
        assert decision.notice.accepted_at is not None
        assert decision.notice.bounced_at is None
        assert decision.notice.accepted_at + timedelta(hours=48) <= self.now
        assert decision.notice.invoice_ids & set(self.open)
        earliest = min(i.since for i in situation.counted)
        assert self.now - earliest >= timedelta(days=POLICY.deadline_days)
        if decision.verdict is Verdict.CUT:
            assert self.lines.state is LineState.RESTRICTED
            assert self.now - earliest >= timedelta(days=15)
        else:
            assert self.lines.state is LineState.NORMAL

    def _become(self, lines: Lines) -> None:
        if lines.state in TOUCHED and lines.state is not self.lines.state:
            self.told.append((lines.state, lines.episode))
        if self.lines.state in TOUCHED and lines.state not in TOUCHED:
            self.told.append((LineState.RESTORED, self.lines.episode))
        self.lines = lines

    @invariant()
    def each_thing_is_told_once_an_episode(self) -> None:
        assert len(self.told) == len(set(self.told))

    @invariant()
    def nobody_who_owes_nothing_is_restricted_or_cut(self) -> None:
        assert self.open or self.lines.state not in TOUCHED
        assert bool(self.open) == self.lines.is_unpaid


TestCompanyLife = CompanyLife.TestCase
TestCompanyLife.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_moments_are_the_same_whatever_zone_they_are_said_in() -> None:
    assert decided(OVERDUE, MONDAY.astimezone(UTC)) == decided(OVERDUE)
