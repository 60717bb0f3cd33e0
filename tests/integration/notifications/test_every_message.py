"""Each fact, told twice through Kafka, ends in exactly one mail in the catcher; or in none, for a reason."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from libs.common.events import Event
from libs.common.events.directory import CompanyRegistered
from libs.common.events.scheduler import DailyReportDue, FreeNumbersLow
from libs.common.signup_steps import SIGNUP_STEPS
from services.notifications.domain import INTERNAL, KINDS, Channel
from services.notifications.mail import template_version
from services.notifications.mail.french import PARIS
from tests.integration.notifications.office import SENDER, Office
from tests.unit.notifications.facts import Customer
from tests.world import until

NOW = datetime.now(UTC)
TEAM = "equipe@relance.test"


async def register(office: Office, customer: Customer, email: str = "compta@exemple.fr") -> None:
    """The directory names it, and notifications has heard so."""
    await office.world.tell(
        CompanyRegistered(company_id=customer.company_id, name="Éts Ménard", email=email, registered_at=NOW)
    )

    async def is_known() -> bool:
        rows = await office.world.rows(
            "notifications", "select from companies where company_id = $1", customer.company_id
        )
        return bool(rows)

    await until(is_known, what="the company")


def facts_of(customer: Customer) -> dict[str, Event]:
    """The fact that makes each kind, where one company may be told all of them."""
    other = "+33140000001"
    return {
        "unpaid": customer.unpaid("in_4"),
        "cutoff_warning": customer.cutoff_warning("in_4"),
        "line_restricted": customer.restricted("in_4"),
        "line_cut": customer.cut("in_4"),
        "line_restored": customer.restored(),
        "payment_receipt": customer.paid("in_1"),
        "payment_recovered": customer.recovered("in_2"),
        "payment_action_required": customer.action_required("in_3"),
        "card_expiring": customer.card_expiring(),
        "number_assigned": customer.assigned(at=NOW),
        "number_release_warning": customer.release_warning(),
        "number_released": customer.released(other, at=NOW),
        **{step.name: customer.signup_step(step.name) for step in SIGNUP_STEPS},
        "trial_ending_soon": customer.trial_ending_soon(),
        "trial_ended": customer.trial_ended(),
        "subscription_changed": customer.changed(at=NOW),
        "free_numbers_low": FreeNumbersLow(
            prefix="+331", free_count=7, threshold=20, due_on=date(2026, 3, 2)
        ),
        "daily_report": DailyReportDue(report_on=NOW.date(), subscriptions_started=2),
        "dispute_closed": customer.dispute_closed(at=NOW),
    }


# Nobody was named to write to when they were queued.
ADDRESSED = "update deliveries set recipient = 'a@exemple.fr', status = 'pending'"

BY_SMS_TOO = [kind for kind, row in KINDS.items() if Channel.SMS in row.channels]

LATER = {"subscription_started", "subscription_canceled", "unpaid_reminder", "team_digest"}
"""What would stop others, or be stopped by them: told to companies of their own. Digests have
their own tests."""


async def test_each_fact_ends_in_exactly_one_mail(office: Office) -> None:
    customer, subscriber, leaver, debtor = (Customer() for _ in range(4))
    facts = facts_of(customer)
    assert facts.keys() | LATER == KINDS.keys(), "every kind is told here"
    async with office.open(team_email=TEAM, marketing_most_a_day=9, marketing_most_a_week=9):
        for each in (customer, subscriber, leaver, debtor):
            await register(office, each)
        for fact in facts.values():
            await office.world.tell(fact, copies=2)
        await office.world.tell(subscriber.subscribed(at=NOW), copies=2)
        await office.world.tell(leaver.canceled(at=NOW), copies=2)
        await office.until_all(len(facts) + 2 + len(BY_SMS_TOO), "accepted", "suppressed")
        await office.world.tell(debtor.unpaid("in_9"))
        await office.until_status("unpaid:in_9:1", "accepted")
        await office.world.rows(
            "notifications",
            "update deliveries set settled_at = settled_at - interval '73 h', "
            "sending_at = sending_at - interval '73 h' where dedup_key = 'unpaid:in_9:1'",
        )
        await office.world.tell(debtor.reminder("in_9"), copies=2)
        everything = await office.until_all(len(facts) + 4 + len(BY_SMS_TOO), "accepted", "suppressed")
    rows = [row for row in everything if row["channel"] == Channel.MAIL]
    assert {row["status"] for row in rows} == {"accepted"}
    mails = await office.mails.mails()
    kinds = sorted(mail.kind or "" for mail in mails)
    assert kinds == sorted([*(KINDS.keys() - {"team_digest"}), "unpaid"])
    for mail in mails:
        assert mail.recipients == (TEAM if mail.kind in INTERNAL else "compta@exemple.fr",), mail.kind
    for row in rows:
        kind = row["kind"]
        assert row["template_version"] == template_version(KINDS[kind].template)
        assert row["category"] == KINDS[kind].category
        assert row["recipient"] == (TEAM if kind in INTERNAL else "compta@exemple.fr")


async def mail_of(office: Office, kind: str) -> str:
    [mail] = [mail for mail in await office.mails.mails() if mail.kind == kind]
    return (await office.mails.mail(mail.id)).text or ""


async def test_whoever_subscribes_gets_no_drip_no_trial_mail_and_keeps_the_number(office: Office) -> None:
    customer = Customer()
    dripped = [customer.signup_step(step.name) for step in SIGNUP_STEPS]
    about = [customer.trial_ending_soon(3), customer.trial_ending_soon(1), customer.trial_ended()]
    await office.queue(*dripped, *about, customer.release_warning(), customer.subscribed(at=NOW))
    async with office.open(SENDER):
        rows = await office.until_all(13, "suppressed")
    assert {row["why"] for row in rows if row["kind"] != "subscription_started"} == {"subscribed"}


async def test_a_subscription_that_ended_stops_what_was_about_it(office: Office) -> None:
    customer = Customer()
    await office.queue(
        customer.subscribed(at=NOW),
        customer.trial_ending_soon(),
        customer.trial_ended(),
        customer.changed(at=NOW),
        customer.canceled(at=NOW),
    )
    await office.world.rows(
        "notifications", "update deliveries set recipient = 'a@exemple.fr', status = 'pending'"
    )
    async with office.open(SENDER):
        await office.until_all(5, "accepted", "suppressed")
    stopped = {row["kind"]: row["why"] for row in await office.deliveries() if row["status"] == "suppressed"}
    assert stopped == dict.fromkeys(
        ("subscription_started", "trial_ending_soon", "trial_ended", "subscription_changed"), "canceled"
    )


async def test_a_number_that_is_gone_is_not_announced_and_one_that_came_back_is(office: Office) -> None:
    customer = Customer()
    gone, back = "+33140000000", "+33140000001"
    hour = timedelta(hours=1)
    await office.queue(
        customer.assigned(gone, at=NOW - hour),
        customer.release_warning(gone),
        customer.released(gone, at=NOW),
        customer.released(back, at=NOW - 2 * hour),
        customer.assigned(back, at=NOW - hour),
    )
    await office.world.rows(
        "notifications", "update deliveries set recipient = 'a@exemple.fr', status = 'pending'"
    )
    async with office.open(SENDER):
        await office.until_all(5, "accepted", "suppressed")
    for row in await office.deliveries():
        is_stopped = json.loads(row["context"])["number"] == gone and row["kind"] != "number_released"
        assert row["why"] == ("released" if is_stopped else None), row["dedup_key"]


async def test_a_history_that_is_brought_in_makes_no_mails(office: Office) -> None:
    customer, long_ago = Customer(), NOW - timedelta(days=400)
    async with office.open(team_email=TEAM):
        await register(office, customer)
        for fact in (
            customer.subscribed(at=long_ago),
            customer.changed(at=long_ago),
            customer.assigned(at=long_ago),
            customer.dispute_closed(at=long_ago),
        ):
            await office.world.tell(fact)
        rows = await office.until_all(4, "suppressed")
    assert {row["why"] for row in rows} == {"old_news"}
    assert await office.mails.mails() == ()


async def test_what_changed_in_a_subscription_but_not_its_plan_is_not_written_about(office: Office) -> None:
    customer, minute = Customer(), timedelta(minutes=1)
    await office.queue(
        customer.changed(at=NOW - minute, previous_plan=None),
        customer.changed(at=NOW - 2 * minute, previous_plan="Pro"),
        customer.changed(at=NOW - 3 * minute, plan=None),
        customer.changed(at=NOW - 4 * minute, status="canceled"),
        customer.changed(at=NOW - 5 * minute, status="lifetime", plan=None),
        customer.signup_step(),
    )
    async with office.open(SENDER):
        [row] = await office.until_all(1, "suppressed")
    assert (row["kind"], row["why"]) == ("signup_first_step", "subscribed"), "for life is subscribed"


@pytest.mark.parametrize("is_paid", [True, False])
async def test_a_warning_of_a_cut_is_worthless_once_paid_or_cut(office: Office, is_paid: bool) -> None:
    customer = Customer()
    await office.queue(
        customer.unpaid("in_1"),
        customer.cutoff_warning("in_1", cutoff_at=NOW + timedelta(days=2) if is_paid else NOW),
        *([customer.closed("in_1")] if is_paid else []),
    )
    key = (
        await office.world.rows(
            "notifications",
            "select dedup_key from deliveries where kind = 'cutoff_warning' and channel = 'mail'",
        )
    )[0]["dedup_key"]
    async with office.open(SENDER):

        async def settled() -> bool:
            return (await office.statuses())[key][0] not in ("pending", "sending")

        await until(settled, what="the warning being settled")
    _, why = (await office.statuses())[key]
    assert why == ("paid" if is_paid else "expired")
    assert not [mail for mail in await office.mails.mails() if mail.kind == "cutoff_warning"]


async def test_trial_mails_that_come_too_late_are_not_sent(office: Office) -> None:
    customer = Customer()
    in_two_days = datetime.now(UTC) + timedelta(days=2) - timedelta(minutes=1)
    await office.queue(customer.trial_ending_soon(3, ends_at=in_two_days))
    async with office.open(SENDER):

        async def settled() -> bool:
            return [status for status, _ in (await office.statuses()).values()] != ["pending"]

        await until(settled, what="the mail being settled")
    assert [why for _, why in (await office.statuses()).values()] == ["expired"]


async def test_without_a_team_address_the_team_is_not_written_to(office: Office) -> None:
    async with office.open():
        await office.world.tell(Customer().dispute_closed(at=NOW))
        [row] = await office.until_all(1, "suppressed")
    assert row["why"] == "no_address"


async def test_the_report_of_a_day_counts_what_became_of_its_deliveries(office: Office) -> None:
    customer = Customer()
    async with office.open(team_email=TEAM):
        await office.world.tell(customer.paid("in_1"))
        await office.world.tell(customer.paid("in_2"))
        await office.world.tell(Customer(email=None).paid("in_3"))
        await office.until_all(3, "accepted", "suppressed")
        [row, *_] = await office.deliveries()
        today = row["created_at"].astimezone(PARIS).date()
        for day in (today, today - timedelta(days=1)):
            await office.world.tell(DailyReportDue(report_on=day))
        await office.until_all(5, "accepted", "suppressed")
    rows = [row for row in await office.deliveries() if row["kind"] == "daily_report"]
    reports = [json.loads(row["context"]) for row in rows]
    counted = {report["report_on"]: report["deliveries"] for report in reports}
    assert counted[str(today)] == {"accepted": 2, "suppressed": 1}
    assert counted[str(today - timedelta(days=1))] == {}


async def test_a_dispute_names_the_company_that_it_is_with(office: Office) -> None:
    customer = Customer()
    async with office.open(team_email=TEAM):
        await register(office, customer)
        await office.world.tell(customer.dispute_closed(at=NOW))
        await office.until_all(1, "accepted")
        text = await mail_of(office, "dispute_closed")
    assert "Entreprise\u00a0: Éts Ménard" in text
    assert "Issue\u00a0: gagné" in text


async def test_a_subscription_is_thanked_for_by_name(office: Office) -> None:
    customer = Customer()
    async with office.open():
        await register(office, customer)
        await office.world.tell(customer.subscribed(at=NOW))
        await office.until_all(1, "accepted")
        text = await mail_of(office, "subscription_started")
    assert "Vous avez choisi la formule Pro pour Éts Ménard" in text
    assert "https://app.relance.test/login" in text
