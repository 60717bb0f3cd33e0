"""Held until its hours, or because it were too much: checked again at release, expired, in order, in pace."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common.events.notifications import DeliveryFailed
from services.notifications.domain import parse_hours
from tests.builders.held import Sink, hold
from tests.integration.notifications.office import SENDER, Office
from tests.unit.notifications.facts import Customer
from tests.world import until

HOURS: dict[str, Any] = {"hours_marketing_mail": "mon-sat 8:00-20:00"}
SUNDAY = datetime(2026, 3, 1, 11, tzinfo=UTC)
MONDAY_MORNING = datetime(2026, 3, 2, 7, tzinfo=UTC)  # 8:00 in Paris
EVE = datetime(2026, 3, 28, 19, 30, tzinfo=UTC)  # Saturday evening, before the night of 23 hours
AFTER_IT = datetime(2026, 3, 30, 6, tzinfo=UTC)  # 8:00 in Paris, in summer time


def key(customer: Customer) -> str:
    return f"signup:{customer.company_id}:signup_first_step"


async def held(
    office: Office, customer: Customer, *, at: datetime = SUNDAY, hours: float = 48
) -> dict[str, Any]:
    """Its sign-up mail, once it waits."""
    office.clock = lambda: at
    await office.world.tell(customer.signup_step(expires_at=at + timedelta(hours=hours)))

    async def look() -> list[dict[str, Any]]:
        return [row for row in await office.deliveries() if row["dedup_key"] == key(customer) and row["why"]]

    return (await until(look, what="a delivery that waits"))[0]


async def test_marketing_waits_for_its_hours_and_a_notice_does_not(office: Office) -> None:
    customer = Customer()
    async with office.open(**HOURS):
        row = await held(office, customer)
        assert (row["status"], row["why"], row["due_at"]) == ("pending", "outside_hours", MONDAY_MORNING)
        await office.world.tell(customer.unpaid("in_1"))
        await office.until_status("unpaid:in_1:1", "accepted")
        assert [mail.kind for mail in await office.mails.mails()] == ["unpaid"]
        office.clock = lambda: MONDAY_MORNING
        await office.until_status(key(customer), "accepted")
    assert await office.history(key(customer)) == ["pending", "pending", "sending", "accepted"]


async def test_eight_in_the_morning_is_that_after_the_clocks_changed(office: Office) -> None:
    async with office.open(**HOURS):
        assert (await held(office, Customer(), at=EVE))["due_at"] == AFTER_IT


async def test_whoever_subscribed_or_unsubscribed_meanwhile_is_not_written_to(office: Office) -> None:
    subscribed, unsubscribed = Customer("un@exemple.fr"), Customer("deux@exemple.fr")
    changes = {**HOURS, "interne_apikey": "an-internal-key-for-tests"}
    async with office.open(**changes) as client:
        for customer in (subscribed, unsubscribed):
            await held(office, customer)
        await office.world.tell(subscribed.subscribed())
        await until(lambda: office.world.rows("notifications", "select 1 from subscribed_companies"))
        added = await client.post(
            "/internal/suppressions",
            json={"target": "deux@exemple.fr", "reason": "stop", "by": "test"},
            headers={"X-Api-Key": "an-internal-key-for-tests"},
        )
        assert added.status_code == 201
        office.clock = lambda: MONDAY_MORNING
        assert (await office.until_status(key(subscribed), "suppressed"))["why"] == "subscribed"
        assert (await office.until_status(key(unsubscribed), "suppressed"))["why"] == "stop"
    assert await office.mails.mails() == ()


async def test_what_nobody_would_want_any_more_by_then_expires_and_says_why(office: Office) -> None:
    async with office.open(**HOURS):
        row = await held(office, Customer(), hours=19)
        [told] = await until(lambda: office.told(DeliveryFailed, 1))
    assert row["why"] == "expired"
    assert row["status"] in ("failed", "expired")
    assert "outside_hours" in told.answer
    assert await office.mails.mails() == ()


async def test_what_was_held_while_nobody_sent_expires_at_its_release(office: Office) -> None:
    async with office.open(**HOURS):
        await held(office, Customer(), hours=21)
    office.clock = lambda: MONDAY_MORNING + timedelta(hours=3)
    async with office.open(**HOURS):
        [told] = await until(lambda: office.told(DeliveryFailed, 1))
    assert "expired" in told.answer
    assert await office.mails.mails() == ()


async def test_the_second_marketing_message_of_a_day_waits_for_the_next(office: Office) -> None:
    customer = Customer()
    office.clock = lambda: MONDAY_MORNING
    expires_at = MONDAY_MORNING + timedelta(days=3)
    async with office.open(**HOURS):
        await office.world.tell(customer.signup_step(expires_at=expires_at))
        await office.until_status(key(customer), "accepted")
        await office.world.rows(
            "notifications",
            """
            insert into deliveries (id, dedup_key, company_id, kind, category, channel, recipient,
                recipient_name, invoice_ids, context, status, due_at, expires_at, event_id, event_type,
                created_at)
            select gen_random_uuid(), 'another', company_id, kind, category, channel, recipient,
                recipient_name, invoice_ids, context, 'pending', due_at, expires_at, gen_random_uuid(),
                event_type, created_at
            from deliveries
            """,
        )
        await until(lambda: _waits(office), what="the second one's waiting")
        [row] = [row for row in await office.deliveries() if row["dedup_key"] == "another"]
        assert (row["status"], row["due_at"]) == ("pending", MONDAY_MORNING + timedelta(days=1))
        await office.world.tell(customer.paid("in_1"))
        await office.until_status("payment_receipt:in_1", "accepted")
        office.clock = lambda: MONDAY_MORNING + timedelta(days=1)
        await office.until_status("another", "accepted")


async def _waits(office: Office) -> bool:
    return any(row["why"] == "too_often" for row in await office.deliveries())


async def test_those_held_leave_in_order_and_within_the_pace(office: Office) -> None:
    """All are overdue when the sender starts: no herd, whatever the machine's speed."""
    count, pace, connections = 150, 50, 4
    now = datetime.now(UTC)
    await hold(office.world, count, due_at=now - timedelta(hours=1), step_seconds=1, together=3)
    sink = Sink()
    loop = asyncio.get_running_loop()
    async with sink.listening() as dsn:
        begun = loop.time()
        async with office.open(
            SENDER, mailer_dsn=dsn, mail_rate_per_second=pace, smtp_connections=connections
        ):
            await office.until_all(count, "accepted")
        took = loop.time() - begun
    burst = pace * 0.1
    assert sorted(sink.order) == list(range(1, count + 1)), "each once"
    assert took >= (count - burst) / pace
    assert sink.busiest <= connections
    for window in (0.2, 1.0):
        assert sink.most_within(window) <= pace * window + burst + connections
    # Among those in hand at once any may be first.
    assert max(abs(place - number) for place, number in enumerate(sink.order, 1)) <= 2 * connections + 3


async def test_a_paced_sender_stops_at_once(office: Office) -> None:
    await hold(office.world, 20, due_at=datetime.now(UTC), step_seconds=0, together=1)
    sink = Sink()
    async with sink.listening() as dsn:
        async with office.open(SENDER, mailer_dsn=dsn, mail_rate_per_second=0.5):
            await until(lambda: _came(sink))
            begun = asyncio.get_running_loop().time()
        stopped = asyncio.get_running_loop().time() - begun
    assert stopped < 5
    assert {row["status"] for row in await office.deliveries()} == {"accepted", "pending"}


async def _came(sink: Sink) -> bool:
    return bool(sink.arrivals)


def test_these_hours_are_closed_on_that_sunday() -> None:
    assert parse_hours(HOURS["hours_marketing_mail"]).next_opening(SUNDAY) == MONDAY_MORNING
