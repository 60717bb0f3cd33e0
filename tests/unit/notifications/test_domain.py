"""Which message a fact makes, and what becomes of it: decisions on plain values."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.events.notifications import (
    DeliveryAccepted,
    DeliveryBounced,
    DeliveryDelivered,
    DeliveryFailed,
    DeliverySuppressed,
    DeliveryUnknown,
)
from services.notifications import domain
from services.notifications.domain import (
    KINDS,
    AllowList,
    Delivery,
    Knowledge,
    Listed,
    Message,
    Outcome,
    Send,
    Status,
    Why,
)
from tests.unit.notifications.facts import AT, CYCLE, Customer

EVERYONE = AllowList(is_open=True)
ANYONE = Customer()


def delivery_of(message: Message, **changes: Any) -> Delivery:
    delivery = Delivery(
        id=message.delivery_id,
        company_id=message.company_id,
        kind=message.kind,
        channel="mail",
        recipient=message.recipient,
        recipient_name=message.recipient_name,
        invoice_id=message.invoice_id,
        invoice_ids=(message.invoice_id,) if message.invoice_id else (),
        billing_cycle=message.billing_cycle,
        stage=message.stage,
        context=message.context,
        attempts=0,
        fence=0,
        created_at=AT,
        expires_at=AT + timedelta(days=7),
        event_id=uuid4(),
        event_type="billing.invoice_unpaid.v1",
        traceparent=None,
    )
    return replace(delivery, **changes)


def decide(delivery: Delivery, known: Knowledge, *, now: datetime = AT, **changes: Any) -> Send | Outcome:
    rules: dict[str, Any] = {"allow_list": EVERYONE, "digest_wait": timedelta(minutes=10), **changes}
    return domain.decide(delivery, known, now=now, **rules)


def listed(*, stage: int = 1, cycle: str = CYCLE, by: Delivery | None = None) -> Listed:
    return Listed("in_1", cycle, stage, by.id if by else uuid4())


UNPAID = delivery_of(domain.unpaid(ANYONE.unpaid("in_1")))
OWES_1 = Knowledge(open_invoices=(ANYONE.invoice("in_1"),))


def test_the_same_fact_makes_the_same_delivery() -> None:
    one, again = domain.unpaid(ANYONE.unpaid("in_1")), domain.unpaid(ANYONE.unpaid("in_1", "in_2"))
    assert one.dedup_key == again.dedup_key == "unpaid:in_1:1"
    assert one.delivery_id == again.delivery_id


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (domain.payment_receipt(ANYONE.paid("in_1")), "payment_receipt:in_1"),
        (domain.payment_recovered(ANYONE.recovered("in_1")), "payment_recovered:in_1"),
        (domain.payment_action_required(ANYONE.action_required("in_1")), "payment_action_required:in_1:1"),
        (domain.card_expiring(ANYONE.card_expiring()), "card_expiring:cus_1:fp_1:2026-03-31"),
        (domain.signup(ANYONE.signup_step()), f"signup:{ANYONE.company_id}:signup_first_step"),
        (domain.unpaid_reminder(ANYONE.reminder("in_1")), f"unpaid_reminder:{ANYONE.company_id}:in_1:2"),
        (domain.line_changed(ANYONE.restricted("in_1")), f"line_restricted:{ANYONE.company_id}:1"),
        (domain.line_changed(ANYONE.cut("in_1", episode=2)), f"line_cut:{ANYONE.company_id}:2"),
        (domain.line_changed(ANYONE.restored()), f"line_restored:{ANYONE.company_id}:1"),
    ],
    ids=[
        "receipt",
        "recovered",
        "action required",
        "card expiring",
        "sign-up",
        "reminder",
        "restricted",
        "cut",
        "restored",
    ],  # the same in every pytest worker
)
def test_every_fact_has_a_key_made_of_facts(message: Message, key: str) -> None:
    assert message.dedup_key == key
    assert message.kind in KINDS


def test_a_recovered_payment_makes_no_receipt() -> None:
    assert domain.payment_receipt(ANYONE.paid("in_1", is_recovered=True)) is None


def test_an_unpaid_mail_lists_every_invoice_open_by_now() -> None:
    both = (ANYONE.invoice("in_1", cents=1000), ANYONE.invoice("in_2", cents=2390))
    decision = decide(UNPAID, Knowledge(open_invoices=both))
    assert decision == Send(both)
    context = domain.context_to_send(UNPAID, both, {"login_url": "https://app.example/login"})
    assert [invoice["invoice_id"] for invoice in context["open_invoices"]] == ["in_1", "in_2"]
    assert (context["unpaid_count"], context["total_due_cents"]) == (2, 3390)


def test_a_paid_invoice_is_not_written_about() -> None:
    assert decide(UNPAID, Knowledge()) == Outcome(Status.SUPPRESSED, why=Why.PAID)
    owes_another = Knowledge(open_invoices=(ANYONE.invoice("in_2"),))
    assert decide(UNPAID, owes_another) == Outcome(Status.SUPPRESSED, why=Why.PAID)


def test_what_a_failed_try_had_listed_still_counts_when_its_own_invoice_is_paid() -> None:
    tried_before = replace(UNPAID, invoice_ids=("in_1", "in_2"))
    owes_another = Knowledge(open_invoices=(ANYONE.invoice("in_2"),))
    assert isinstance(decide(tried_before, owes_another), Send)


@pytest.mark.parametrize(
    ("told", "is_sent"),
    [
        (listed(stage=1), False),
        (listed(stage=2), False),
        (listed(stage=0), True),
        (listed(cycle="2026-02-01/2026-03-01"), True),
        (listed(by=UNPAID), True),
    ],
)
def test_one_mail_a_stage_and_billing_cycle(told: Listed, is_sent: bool) -> None:
    decision = decide(UNPAID, replace(OWES_1, listed=(told,)))
    assert isinstance(decision, Send) == is_sent
    if not is_sent:
        assert decision == Outcome(Status.SUPPRESSED, why=Why.ALREADY_LISTED)


def test_an_unpaid_mail_waits_while_other_invoices_are_being_tried_but_not_for_ever() -> None:
    waiting = delivery_of(domain.unpaid(ANYONE.unpaid("in_1", cases_being_tried=1)))
    until = AT + timedelta(minutes=10)
    decision = decide(waiting, OWES_1)
    assert isinstance(decision, Outcome)
    assert (decision.status, decision.due_at) == (Status.PENDING, until)
    assert isinstance(decide(waiting, OWES_1, now=until), Send)


REMINDER = delivery_of(domain.unpaid_reminder(ANYONE.reminder("in_1")))


@pytest.mark.parametrize(
    ("hours_ago", "is_sent"), [(None, True), (73, True), (72, True), (71, False), (0, False), (-1, False)]
)
def test_a_reminder_within_72_hours_of_a_notice_is_not_sent(hours_ago: int | None, is_sent: bool) -> None:
    noticed_at = None if hours_ago is None else AT - timedelta(hours=hours_ago)
    decision = decide(REMINDER, replace(OWES_1, noticed_at=noticed_at), now=AT + timedelta(days=1))
    assert isinstance(decision, Send) == is_sent
    if not is_sent:
        assert decision == Outcome(Status.SUPPRESSED, why=Why.RECENT_NOTICE)


def test_a_reminder_of_what_was_paid_is_not_sent() -> None:
    assert decide(REMINDER, Knowledge()) == Outcome(Status.SUPPRESSED, why=Why.PAID)


def test_a_mail_about_lines_lists_what_is_open_and_falls_away_once_everything_is_paid() -> None:
    for event in (ANYONE.restricted("in_1"), ANYONE.cut("in_1")):
        delivery = delivery_of(domain.line_changed(event))
        assert decide(delivery, OWES_1) == Send(tuple(OWES_1.open_invoices))
        context = domain.context_to_send(delivery, OWES_1.open_invoices, {})
        assert (context["total_due_cents"], context["currency"]) == (4990, "eur")
        assert decide(delivery, Knowledge()) == Outcome(Status.SUPPRESSED, why=Why.PAID)
    assert decide(delivery_of(domain.line_changed(ANYONE.restored())), Knowledge()) == Send()


def test_a_subscribed_company_gets_no_sign_up_mail() -> None:
    signup = delivery_of(domain.signup(ANYONE.signup_step()))
    assert isinstance(decide(signup, Knowledge()), Send)
    assert decide(signup, Knowledge(is_subscribed=True)) == Outcome(Status.SUPPRESSED, why=Why.SUBSCRIBED)


def test_a_payment_that_went_through_needs_no_confirmation() -> None:
    asked = delivery_of(domain.payment_action_required(ANYONE.action_required("in_1")))
    assert isinstance(decide(asked, Knowledge()), Send)
    closed = Knowledge(closed_invoice_ids={"in_1"})
    assert decide(asked, closed) == Outcome(Status.SUPPRESSED, why=Why.PAID)


def test_nobody_is_written_to_without_an_address() -> None:
    assert decide(replace(UNPAID, recipient=None), OWES_1) == Outcome(Status.SUPPRESSED, why=Why.NO_ADDRESS)


def test_what_expired_is_not_sent() -> None:
    decision = decide(UNPAID, OWES_1, now=UNPAID.expires_at)
    assert isinstance(decision, Outcome)
    assert (decision.status, decision.why) == (Status.EXPIRED, Why.EXPIRED)


@pytest.mark.parametrize(
    ("recipient", "is_allowed"),
    [
        ("dev@relance.test", True),
        ("Dev@Relance.Test", True),
        ("someone@team.example", True),
        ("someone@sub.team.example", False),
        ("someone@notteam.example", False),
        ("client@exemple.fr", False),
        ("@team.example@exemple.fr", False),
    ],
)
def test_outside_production_only_those_on_the_list_are_written_to(recipient: str, is_allowed: bool) -> None:
    allow_list = AllowList(frozenset({"dev@relance.test", "@team.example"}))
    decision = decide(replace(UNPAID, recipient=recipient), OWES_1, allow_list=allow_list)
    assert isinstance(decision, Send) == is_allowed
    if not is_allowed:
        assert decision == Outcome(Status.SUPPRESSED, why=Why.NOT_ALLOWED_OUTSIDE_PROD)


@given(wait_seconds=st.floats(min_value=0.01, max_value=900), hours=st.integers(min_value=0, max_value=400))
def test_a_try_again_never_comes_after_the_expiry(wait_seconds: float, hours: int) -> None:
    now = AT + timedelta(hours=hours)
    outcome = domain.after_temporary_failure(UNPAID, "451 later", now=now, wait_seconds=wait_seconds)
    if outcome.status is Status.PENDING:
        assert outcome.due_at is not None
        assert now < outcome.due_at < UNPAID.expires_at
    else:
        assert (outcome.status, outcome.why) == (Status.EXPIRED, Why.EXPIRED)


def test_every_end_is_told_and_nothing_else() -> None:
    facts = {status: domain.fact_of(UNPAID, Outcome(status), now=AT) for status in Status}
    expected: dict[Status, object] = {
        Status.ACCEPTED: DeliveryAccepted,
        Status.FAILED: DeliveryFailed,
        Status.EXPIRED: DeliveryFailed,
        Status.DELIVERED: DeliveryDelivered,
        Status.BOUNCED: DeliveryBounced,
        Status.SUPPRESSED: DeliverySuppressed,
        Status.UNKNOWN: DeliveryUnknown,
    }
    assert {status: type(fact) for status, fact in facts.items() if fact} == expected
    assert all(fact.delivery_id == UNPAID.id for fact in facts.values() if fact)
