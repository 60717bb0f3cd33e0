"""Who may be written to, about what, when and how often: plain values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications.domain import (
    KINDS,
    AllowList,
    Category,
    Channel,
    Consent,
    Delivery,
    Knowledge,
    NoTargetError,
    Outcome,
    Reason,
    Scope,
    ScopeError,
    Send,
    Status,
    Suppression,
    Why,
    check_scope,
    decide,
    masked,
    parse_hours,
    target_of,
    targets_of,
)
from services.notifications.domain.consent import first_free_day

NOW = datetime(2026, 3, 2, 11, tzinfo=UTC)  # a Monday, noon in Paris
SUNDAY = datetime(2026, 3, 1, 11, tzinfo=UTC)
MARKETING, LEGAL, TRANSACTIONAL = "signup_first_step", "line_restored", "payment_receipt"


def delivery(
    kind: str = MARKETING,
    *,
    channel: Channel = Channel.MAIL,
    recipient: str = "anne@exemple.fr",
    **changes: object,
) -> Delivery:
    values: dict[str, object] = {
        "id": uuid4(),
        "company_id": uuid4(),
        "kind": kind,
        "channel": channel,
        "recipient": recipient,
        "recipient_name": "",
        "invoice_id": None,
        "invoice_ids": (),
        "billing_cycle": None,
        "stage": None,
        "context": {},
        "attempts": 0,
        "fence": 0,
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=7),
        "event_id": uuid4(),
        "event_type": "t",
        "traceparent": None,
        **changes,
    }
    return Delivery(**values)  # type: ignore[arg-type]


def suppression(
    reason: Reason = Reason.UNSUBSCRIBED,
    scope: str = Scope.ALL,
    *,
    target: str = "anne@exemple.fr",
    **changes: object,
) -> Suppression:
    values: dict[str, object] = {
        "id": uuid4(),
        "target": target,
        "scope": scope,
        "reason": reason,
        "note": None,
        "added_by": "test",
        "added_at": NOW - timedelta(days=1),
        **changes,
    }
    return Suppression(**values)  # type: ignore[arg-type]


def decided(
    one: Delivery,
    *suppressions: Suppression,
    now: datetime = NOW,
    consent: Consent | None = None,
    **known: object,
) -> Send | Outcome:
    return decide(
        one,
        Knowledge(suppressions=suppressions, **known),  # type: ignore[arg-type]
        now=now,
        allow_list=AllowList(is_open=True),
        digest_wait=timedelta(0),
        consent=consent or Consent(),
    )


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("kind", [MARKETING, TRANSACTIONAL, LEGAL])
def test_how_far_each_reason_goes(reason: Reason, kind: str) -> None:
    expected = {
        MARKETING: True,
        TRANSACTIONAL: reason in (Reason.BY_HAND, Reason.HARD_BOUNCE, Reason.BLOCKED),
        LEGAL: reason in (Reason.HARD_BOUNCE, Reason.BLOCKED),
    }
    outcome = decided(delivery(kind), suppression(reason))
    assert isinstance(outcome, Outcome) is expected[kind]
    if isinstance(outcome, Outcome):
        assert outcome.status is Status.SUPPRESSED
        assert "anne@exemple.fr (all)" in outcome.answer


@given(
    st.sampled_from(Reason),
    st.sampled_from([*Scope, *(f"kind:{kind}" for kind in KINDS)]),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(Channel),
    st.tuples(st.integers(-2, 2), st.booleans()),
)
def test_a_suppression_holds_back_what_it_says_and_nothing_else(
    reason: Reason, scope: str, kind: str, channel: Channel, ends: tuple[int, bool]
) -> None:
    hours, is_lifted = ends
    category = KINDS[kind].category
    until = NOW + timedelta(hours=hours)
    one = suppression(reason, scope, until=until, lifted_at=NOW if is_lifted else None)
    holds = one.holds_back(kind=kind, channel=channel, category=category, now=NOW)
    if holds:
        assert not is_lifted
        assert until > NOW
        assert scope in ("all", channel, f"kind:{kind}") or (scope == "marketing" and category == "marketing")
        if category is Category.LEGAL:
            assert reason in (Reason.HARD_BOUNCE, Reason.BLOCKED), "an objection never silences a notice"
    elif category is Category.MARKETING and until > NOW and not is_lifted:
        assert scope not in ("all", "marketing", channel, f"kind:{kind}"), "marketing respects every reason"


def test_of_several_the_one_that_goes_farthest_is_named() -> None:
    outcome = decided(delivery(), suppression(Reason.STOP), suppression(Reason.HARD_BOUNCE), suppression())
    assert isinstance(outcome, Outcome)
    assert outcome.why is Why.HARD_BOUNCE


def test_what_stopped_being_wanted_is_said_before_who_does_not_want_it() -> None:
    outcome = decided(delivery(), suppression(), is_subscribed=True)
    assert isinstance(outcome, Outcome)
    assert outcome.why is Why.SUBSCRIBED


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (" Anne@Exemple.FR ", "anne@exemple.fr"),
        ("anne@société.example", "anne@xn--socit-esab.example"),
        ("anne@SOCIÉTÉ.example", "anne@xn--socit-esab.example"),
        ("@Exemple.fr", "@exemple.fr"),
        ("@société.example", "@xn--socit-esab.example"),
        ("06 12 34 56 78", "+33612345678"),
        ("0033 6.12.34.56.78", "+33612345678"),
        ("+33 (0)6 12 34 56 78", "+33612345678"),
        ("+44 20 7946 0958", "+442079460958"),
    ],
)
def test_a_target_is_written_in_one_way(text: str, target: str) -> None:
    assert target_of(text) == target
    assert target_of(target) == target


NO_TARGETS = (
    "", "x", "anne", "anne@", "@", "@fr", "@exemple..fr", "anne@exemple", "a b@exemple.fr", "a@x.fr,b@x.fr",
    "Anne <anne@exemple.fr>", "anne@exemple.fr\r\nBcc: x@y.fr", "@exemple.fr\nBcc: x@y.fr", "12", "06 12",
    "0612345678 ou 0698765432", "+33612345678\r\nX: y", "a" * 400 + "@x.fr", "1" * 400, "\x00@x.fr", "١٢٣٤",
)  # fmt: skip


@pytest.mark.parametrize("text", NO_TARGETS)
def test_what_is_no_target_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(NoTargetError, match=r"valide|ni un numéro"):
        target_of(text)


WRITTEN = st.one_of(
    st.emails(),
    st.text("0123456789+ .", min_size=8, max_size=16),
    st.from_regex(r"[a-zé.+]{1,9}@[a-zß.-]{1,9}\.(fr|example)\s?", fullmatch=True),
    st.text("aé@.+<\n\u202e\0", max_size=30),
)


@given(WRITTEN)
def test_whatever_is_taken_is_one_line_of_ascii_that_stays_itself(text: str) -> None:
    try:
        target = target_of(text)
    except NoTargetError:
        return
    assert target.isascii()
    assert target.isprintable()
    assert target_of(target) == target


def test_a_recipient_is_looked_for_by_address_and_by_domain() -> None:
    assert targets_of("mail", "Anne@Exemple.fr") == ("anne@exemple.fr", "@exemple.fr")
    assert targets_of("sms", "06 12 34 56 78") == ("+33612345678",)
    for channel, nobody in (
        ("mail", None),
        ("mail", "x"),
        ("sms", "anne@exemple.fr"),
        ("mail", "0612345678"),
    ):
        assert targets_of(channel, nobody) == ()


def test_a_page_shows_only_as_much_as_its_reader_knows_anyway() -> None:
    assert masked("anne@exemple.fr") == "a•••@exemple.fr"
    assert masked("+33612345678") == "+33•••••78"


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ("everything", "@x.fr"),
        ("kind:nothing", "@x.fr"),
        ("kind:", "@x.fr"),
        ("sms", "a@x.fr"),
        ("mail", "+33612345678"),
    ],
)
def test_a_scope_that_does_not_fit_is_refused(scope: str, target: str) -> None:
    with pytest.raises(ScopeError, match="choisissez"):
        check_scope(scope, target)


WORKING = Consent({(Category.MARKETING, Channel.MAIL): parse_hours("mon-sat 8:00-20:00")})


def test_marketing_outside_its_hours_waits_for_the_next_opening() -> None:
    outcome = decided(delivery(), now=SUNDAY, consent=WORKING)
    assert outcome == Outcome(
        Status.PENDING, "held", Why.OUTSIDE_HOURS, due_at=datetime(2026, 3, 2, 7, tzinfo=UTC)
    )
    assert decided(delivery(), consent=WORKING) == Send()
    for kind in (LEGAL, TRANSACTIONAL):
        assert decided(delivery(kind), now=SUNDAY, consent=WORKING) == Send()


def test_what_would_be_held_past_its_expiry_expires() -> None:
    outcome = decided(delivery(expires_at=SUNDAY + timedelta(hours=9)), now=SUNDAY, consent=WORKING)
    assert isinstance(outcome, Outcome)
    assert outcome.why is Why.EXPIRED
    assert "outside_hours" in outcome.answer


def test_one_marketing_message_a_day_and_three_a_week() -> None:
    often = Consent(WORKING.hours, most_a_day=1, most_a_week=3)
    assert decided(delivery(), consent=often) == Send()
    today = decided(delivery(), consent=often, marketing_sent_at=[NOW - timedelta(hours=1)])
    assert today == Outcome(Status.PENDING, "held", Why.TOO_OFTEN, due_at=datetime(2026, 3, 3, 7, tzinfo=UTC))
    thrice = [NOW - timedelta(days=days) for days in (1, 3, 6)]
    week = decided(delivery(), consent=often, marketing_sent_at=thrice)
    assert isinstance(week, Outcome)
    assert (week.why, week.due_at) == (Why.TOO_OFTEN, datetime(2026, 3, 3, 7, tzinfo=UTC))
    expired = decided(delivery(expires_at=NOW + timedelta(hours=2)), consent=often, marketing_sent_at=thrice)
    assert isinstance(expired, Outcome)
    assert expired.why is Why.EXPIRED
    assert "too_often" in expired.answer
    for kind in (LEGAL, TRANSACTIONAL):
        assert decided(delivery(kind), consent=often, marketing_sent_at=thrice) == Send()


@given(st.lists(st.integers(-10, 0), max_size=30), st.integers(1, 3), st.integers(1, 5), st.integers(1, 40))
def test_whoever_waits_for_a_free_day_keeps_within_both_numbers(
    before: list[int], a_day: int, a_week: int, wanted: int
) -> None:
    today = date(2026, 3, 2)
    days = [today + timedelta(days=back) for back in before]
    sent: list[date] = []
    for _ in range(wanted):
        day = first_free_day(days + sent, sent[-1] if sent else today, most_a_day=a_day, most_a_week=a_week)
        assert day <= (sent[-1] if sent else today) + timedelta(days=7)
        sent.append(day)
    for day in sent:
        assert sent.count(day) <= a_day
        assert sum(day - timedelta(days=6) <= other <= day for other in sent) <= a_week
