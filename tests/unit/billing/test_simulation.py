"""A policy over a recorded past, as plain values; and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain import CaseState, Decision, Lines, LineState, Notice, Situation, Verdict, decide
from services.billing.domain.past import (
    Past,
    PastCase,
    PastChange,
    PastCycle,
    PastExemption,
    PastLifetime,
    PastNotice,
    PastTry,
)
from services.billing.domain.policy import Does, Policy, Stage, forbidden_why
from services.billing.domain.simulation import Deed, foresee, happened, simulate
from services.billing.domain.wording import WHYS, Now, comparison, explanation, next_warning_at, totals
from services.billing.settings import load_policy

POLICY = load_policy(None)
PARIS = ZoneInfo("Europe/Paris")
MONDAY = datetime(2026, 1, 5, 11, 0, tzinfo=PARIS)
LATER = MONDAY + timedelta(days=90)
ID = UUID(int=7)


def day(number: float) -> datetime:
    return MONDAY + timedelta(days=number)


def case(
    invoice_id: str = "in_1", opened: float = 0, closed: float | None = None, *cycles: PastCycle
) -> PastCase:
    return PastCase(
        invoice_id=invoice_id,
        number="F-1",
        amount_cents=2990,
        currency="eur",
        state=CaseState.EXHAUSTED if closed is None else CaseState.CLOSED,
        opened_at=day(opened),
        closed_at=None if closed is None else day(closed),
        closed_why=None if closed is None else "paid",
        causation_id=ID,
        cycles=cycles,
    )


def notice(at: float = 0.1, *invoice_ids: str, bounced: float | None = None) -> PastNotice:
    came_back = None if bounced is None else day(bounced)
    ids = frozenset(invoice_ids or ("in_1",))
    return PastNotice(Notice(ID, ids, day(at), came_back), "unpaid", "mail")


def past(*cases: PastCase, notices: tuple[PastNotice, ...] = (notice(),)) -> Past:
    return Past(ID, "Le Goff", 9976, cases, notices)


def run(past: Past, policy: Policy = POLICY, since: datetime = MONDAY) -> list[tuple[str, str]]:
    told = simulate(past, policy, since, LATER)
    return [(f"{h.at.astimezone(PARIS):%m-%d %H}", str(h.deed)) for h in told]


def test_the_whole_way_to_a_cut() -> None:
    assert run(past(case())) == [
        ("01-05 11", "warned"),
        ("01-09 09", "warned"),
        ("01-13 09", "warned"),
        ("01-20 09", "restricted"),
        ("01-27 09", "cut"),
    ]


def test_who_pays_is_restored_then_and_the_next_stretch_begins_anew() -> None:
    notices = (notice(), notice(40.1, "in_2"))
    assert [deed for _, deed in run(past(case(closed=25), case("in_2", 40), notices=notices))] == [
        "warned", "warned", "warned", "restricted", "cut", "restored",
        "warned", "warned", "warned", "restricted", "cut",
    ]  # fmt: skip


def test_without_a_notice_that_arrived_a_person_is_asked_once() -> None:
    for notices in ((), (notice(bounced=1),)):
        deeds = [deed for _, deed in run(past(case(), notices=notices))]
        assert deeds.count("asked") == 1
        assert "cut" not in deeds


def test_an_exemption_spares_while_it_lasts_and_a_lifetime_for_good() -> None:
    exempted = replace(past(case()), exemptions=(PastExemption(day(10), day(30), "Léa", "promis"),))
    assert run(exempted)[-2:] == [("02-05 09", "restricted"), ("02-06 09", "cut")]
    assert not [at for at, deed in run(exempted) if deed in ("restricted", "cut") and at < "02-04"]
    lifetime = replace(past(case()), lifetimes=(PastLifetime(day(17), True, "Léa", "ami"),))
    assert [deed for _, deed in run(lifetime)][-2:] == ["restricted", "restored"]


def test_a_cycle_that_is_tried_holds_a_decision_back() -> None:
    tried = PastCycle(2, day(13), day(29), "tell_unpaid", ID)
    assert ("01-20 09", "restricted") not in run(past(case("in_1", 0, None, tried)))


def test_another_policy_does_otherwise() -> None:
    strict = replace(POLICY, deadline_days=7, stages=(Stage(Does.WARN, 0), Stage(Does.CUT, 7)))
    assert run(past(case()), strict) == [("01-05 11", "warned"), ("01-13 09", "cut")]


def test_only_what_lies_in_the_period_is_shown() -> None:
    assert run(past(case()), since=day(20)) == [("01-27 09", "cut")]


@given(
    st.lists(st.tuples(st.floats(0, 60), st.floats(0.1, 50) | st.none()), max_size=5),
    st.lists(st.tuples(st.floats(0, 80), st.booleans()), max_size=5),
)
def test_nothing_imagined_breaks_a_promise(
    cases: list[tuple[float, float | None]], notices: list[tuple[float, bool]]
) -> None:
    names = [f"in_{n}" for n in range(len(cases))]
    made = [
        case(name, opened, None if length is None else opened + length)
        for name, (opened, length) in zip(names, cases, strict=True)
    ]
    told = [notice(at, *names, bounced=at + 1 if is_bounced else None) for at, is_bounced in notices]
    state = "normal"
    for happening in simulate(past(*made, notices=tuple(told)), POLICY, MONDAY, LATER):
        if happening.deed in (Deed.RESTRICTED, Deed.CUT):
            assert forbidden_why(POLICY, happening.at) is None
            assert (state, happening.deed) in (("normal", Deed.RESTRICTED), ("restricted", Deed.CUT))
            old_enough = [n for n in told if n.notice.accepted_at <= happening.at - timedelta(hours=48)]  # type: ignore[operator]
            assert old_enough
            state = str(happening.deed)
        elif happening.deed is Deed.RESTORED:
            assert state in ("restricted", "cut")
            state = "normal"


def test_what_really_happened_is_beside_it() -> None:
    change = PastChange(LineState.CUT, 1, day(21), "overdue", "2026-12", ID, ID)
    real = happened(replace(past(case()), changes=(change,)), day(-1))
    assert [h.deed for h in real] == [Deed.WARNED, Deed.CUT]
    imagined = simulate(past(case()), POLICY, day(-1), LATER)
    head, first, *_ = comparison(past(case()), imagined, real, POLICY)
    assert head == f"Le Goff ({ID})"
    assert first.split("|")[0].strip() == "05/01/2026 11:00:00 avertie (in_1)"
    assert first.split("|")[1].strip() == "05/01/2026 13:24:00 avertie (in_1)"
    assert totals({Deed.CUT: 3}, {Deed.CUT: 1})[4].split() == ["coupée", "3", "1"]


def explained(situation: Situation, past: Past, now: datetime) -> str:
    present = Now(
        at=now,
        situation=situation,
        last_decision=Decision(Verdict.WAIT, "not_due_yet"),
        last_decided_at=day(1),
        decision=decide(situation, POLICY, now),
        coming=foresee(situation, POLICY, now),
        coming_warning_at=next_warning_at(situation, POLICY, now),
    )
    return "\n".join(explanation(past, present, POLICY))


def test_a_company_is_explained_with_what_led_to_it_and_what_comes_next() -> None:
    tries = (PastTry("visa •••• 4242", "declined", None, "lost_card", day(0)),)
    told = replace(
        past(case("in_1", 0, None, PastCycle(1, day(0), day(0), "tell_unpaid", ID, tries))),
        exemptions=(PastExemption(day(-9), day(-8), "Léa", "promis"),),
    )
    lines = Lines(LineState.NORMAL, 1, is_unpaid=True, changed_at=day(0))
    text = explained(told.situation_at(day(5), lines), told, day(5))
    for said in (
        "Le Goff (00000000-0000-0000-0000-000000000007, ancien n° 9976)",
        "Lignes : normales, épisode 1 depuis le 05/01/2026 11:00:00",
        "Échéance : 19/01/2026 11:00:00",
        "facture in_1 (F-1), 29,90 EUR : dossier exhausted ouvert le 05/01/2026 11:00:00",
        "cycle 1 ouvert le",
        "visa •••• 4242 : declined le 05/01/2026 11:00:00 (lost_card, stop)",
        f"avis {ID} (unpaid, mail) accepté le",
        "exemptée le 27/12/2025 11:00:00 jusqu’au 28/12/2025 11:00:00 par Léa : promis",
        "Dernière décision, le 06/01/2026 11:00:00 : attendre (rien n’est encore dû)",
        "Décidé maintenant, ce serait : attendre (rien n’est encore dû)",
        "rappel dû le 12/01/2026 11:00:00",
        "restreinte le 20/01/2026 09:00:00 (l’échéance est passée)",
    ):
        assert said in text, said


def test_a_company_that_owes_nothing_has_nothing_coming() -> None:
    settled = past(case(closed=3))
    lines = Lines(LineState.NORMAL, 1)
    text = explained(settled.situation_at(day(5), lines), settled, day(5))
    assert "Impayées : aucune" in text
    assert "rien dans les 60 jours" in text


@given(st.integers(0, 60 * 24), st.sampled_from(list(LineState)), st.booleans(), st.booleans())
def test_every_reason_has_words(hours: int, state: LineState, is_noticed: bool, is_exempted: bool) -> None:
    told = past(case(), notices=(notice(),) if is_noticed else ())
    if is_exempted:
        told = replace(told, exemptions=(PastExemption(day(0), day(30), "Léa", "promis"),))
    moment = MONDAY + timedelta(hours=hours)
    decision = decide(told.situation_at(moment, Lines(state, 1, is_unpaid=True)), POLICY, moment)
    assert decision.why in WHYS
