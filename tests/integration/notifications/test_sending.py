"""Claim, send, note: each mail once, whatever the mail server, the database or the process does."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from libs.common.errors import MisconfiguredError
from libs.common.events.notifications import DeliveryAccepted, DeliveryFailed, DeliveryUnknown
from tests.integration.notifications.office import SENDER, Office
from tests.servers import Servers
from tests.unit.notifications.facts import CYCLE, Customer
from tests.world import until

KEY = "unpaid:in_1:1"


async def test_two_claimers_send_everything_once(office: Office) -> None:
    customers = [Customer(f"client{n}@exemple.fr") for n in range(40)]
    await office.queue(*(customer.unpaid(f"in_{n}") for n, customer in enumerate(customers)))
    async with office.open(SENDER), office.open(SENDER):
        await office.until_all(40, "accepted")
    assert await office.mails.counts() == {(customer.email, "unpaid", CYCLE): 1 for customer in customers}
    rows = await office.deliveries()
    assert {row["attempts"] for row in rows} == {1}
    assert len({row["fence"] for row in rows}) == 40


async def test_a_temporary_refusal_is_tried_again(office: Office) -> None:
    await office.mails.answer_next("451 4.3.0 try later", times=2)
    async with office.open():
        await office.world.tell(Customer().unpaid("in_1"))
        delivery = await office.until_status(KEY, "accepted")
    assert delivery["attempts"] == 3
    assert await office.history(KEY) == ["pending", *["sending", "pending"] * 2, "sending", "accepted"]
    assert len(await office.mails.mails()) == 1


async def test_what_cannot_be_sent_before_it_expires_fails(office: Office) -> None:
    await office.mails.answer_next("451 4.3.0 try later", times=0)
    await office.queue(Customer().unpaid("in_1"))
    await office.world.rows(
        "notifications", "update deliveries set expires_at = now() + interval '2 seconds'"
    )
    async with office.open(SENDER):
        delivery = await office.until_status(KEY, "expired")
        [told] = await until(lambda: office.world.told(DeliveryFailed))
    assert delivery["why"] == "expired"
    assert "451" in told.answer or "expired" in told.answer


async def test_a_refusal_for_good_fails_and_leaves_the_next_attempt_free(office: Office) -> None:
    # Nothing that says that the address itself is worth nothing: that would suppress the next attempt.
    await office.mails.answer_next("554 5.7.1 refused as spam", at="rcpt")
    customer = Customer()
    async with office.open():
        await office.world.tell(customer.unpaid("in_1"))
        delivery = await office.until_status(KEY, "failed")
        [told] = await until(lambda: office.world.told(DeliveryFailed))
        assert "554" in told.answer
        assert delivery["why"] == "refused"
        assert await office.mails.mails() == ()
        await office.world.tell(customer.unpaid("in_1", attempt_count=2))
        await office.until_status("unpaid:in_1:2", "accepted")


async def test_a_connection_lost_after_the_final_dot_is_unknown_and_never_sent_again(office: Office) -> None:
    await office.mails.answer_next(at="body", drop=True, keep=True, recipient="compta@exemple.fr")
    async with office.open():
        await office.world.tell(Customer().unpaid("in_1"))
        await office.until_status(KEY, "unknown")
        await until(lambda: office.world.told(DeliveryUnknown))
        await office.world.tell(Customer("autre@exemple.fr").unpaid("in_2"))
        await office.until_status("unpaid:in_2:1", "accepted")
    async with office.open():  # nor by the next process
        await office.world.tell(Customer("autre@exemple.fr").unpaid("in_3"))
        await office.until_status("unpaid:in_3:1", "accepted")
    assert len(await office.mails.mails(recipient="compta@exemple.fr")) == 1
    assert (await office.until_status(KEY, "unknown"))["attempts"] == 1


async def test_a_process_killed_in_the_middle_of_a_send_leaves_unknown(office: Office) -> None:
    await office.queue(Customer().unpaid("in_1"), Customer("autre@exemple.fr").unpaid("in_2"))
    # What kill -9 leaves behind: a claim whose lease runs out.
    await office.world.rows(
        "notifications",
        "update deliveries set status = 'sending', fence = nextval('delivery_fences'), attempts = 1, "
        "lease_until = now() + interval '300 milliseconds' where invoice_id = 'in_1'",
    )
    async with office.open(SENDER):
        await office.until_status("unpaid:in_2:1", "accepted")
        await office.until_status(KEY, "unknown")
        [told] = await until(lambda: office.world.told(DeliveryUnknown))
    assert "lease" in told.answer
    assert await office.mails.mails(recipient="compta@exemple.fr") == ()


async def test_a_late_answer_still_settles_an_unknown(office: Office) -> None:
    await office.mails.answer_next(at="body", delay_seconds=1.0)
    async with office.open(smtp_timeout_seconds=5, lease_seconds=20):
        await office.world.tell(Customer().unpaid("in_1"))
        await office.until_status(KEY, "sending")
        await office.world.rows("notifications", "update deliveries set lease_until = now()")
        await office.until_status(KEY, "accepted")
        await until(lambda: office.world.told(DeliveryAccepted))
    assert await office.history(KEY) == ["pending", "sending", "unknown", "accepted"]
    assert len(await office.mails.mails()) == 1


async def test_a_clean_stop_finishes_the_send_in_hand(office: Office) -> None:
    await office.mails.answer_next(at="body", delay_seconds=0.7)
    async with office.open():
        await office.world.tell(Customer().unpaid("in_1"))
        await office.until_status(KEY, "sending")
    assert await office.statuses() == {KEY: ("accepted", None)}


async def test_an_answer_is_noted_however_long_the_database_is_away(office: Office, servers: Servers) -> None:
    await office.mails.answer_next(at="body", delay_seconds=0.5)
    async with office.open(smtp_timeout_seconds=5, lease_seconds=20):
        await office.world.tell(Customer().unpaid("in_1"))
        await office.until_status(KEY, "sending")
        owner = await asyncpg.connect(servers.database_url)
        try:
            await owner.execute(f'alter database "{office.world.name}" allow_connections false')
            await owner.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = $1 and application_name = 'relance-notifications'",
                office.world.name,
            )
            await until(office.mails.mails)
            await owner.execute(f'alter database "{office.world.name}" allow_connections true')
        finally:
            await owner.close()
        await office.until_status(KEY, "accepted")
    assert len(await office.mails.mails()) == 1


async def test_a_slow_mail_server_does_not_hold_up_the_other_connections(office: Office) -> None:
    await office.mails.answer_next(at="body", delay_seconds=3, recipient="lent@exemple.fr")
    customers = [Customer("lent@exemple.fr"), *(Customer(f"client{n}@exemple.fr") for n in range(10))]
    await office.queue(*(customer.unpaid(f"in_{n}") for n, customer in enumerate(customers)))
    async with office.open(SENDER, smtp_connections=2, smtp_timeout_seconds=5, lease_seconds=20):
        for n in range(1, 11):
            await office.until_status(f"unpaid:in_{n}:1", "accepted")
        assert (await office.statuses())["unpaid:in_0:1"] == ("sending", None)


async def test_a_lease_shorter_than_a_send_refuses_to_start(office: Office) -> None:
    with pytest.raises(MisconfiguredError, match="LEASE_SECONDS"):
        office.app(smtp_timeout_seconds=20, lease_seconds=30)


@pytest.mark.parametrize(
    "trouble",
    [
        {"at": "connect", "reply": "421 4.3.2 closing"},
        {"at": "connect", "drop": True},
        {"at": "connect", "reply": "554 5.7.1 who are you"},
        {"at": "mail", "reply": "421 4.3.2 closing"},
        {"at": "mail", "reply": "450 4.3.2 busy"},
        {"at": "rcpt", "reply": "421 4.3.2 closing"},
        {"at": "rcpt", "reply": "450 4.2.0 greylisted"},
        {"at": "rcpt", "reply": "451 4.7.1 come later"},
        {"at": "rcpt", "delay_seconds": 1.5},
        {"at": "rcpt", "drop": True},
        {"at": "data", "reply": "451 4.3.0 no room"},
        {"at": "data", "drop": True},
        {"at": "data", "delay_seconds": 1.5},
        {"at": "body", "reply": "421 4.3.2 closing"},
        {"at": "body", "reply": "450 4.2.0 busy"},
        {"at": "body", "reply": "451 4.3.0 no room"},
        {"at": "body", "reply": "452 4.2.2 mailbox full"},
    ],
    ids=lambda trouble: "-".join(map(str, trouble.values())),
)
async def test_what_was_surely_not_taken_is_tried_again_and_sent_once(
    office: Office, trouble: dict[str, Any]
) -> None:
    await office.mails.answer_next(times=2, **trouble)
    async with office.open(smtp_connections=1):
        await office.world.tell(Customer().unpaid("in_1"))
        delivery = await office.until_status(KEY, "accepted")
    assert delivery["attempts"] in (2, 3)
    assert len(await office.mails.mails()) == 1
    assert "unknown" not in await office.history(KEY)


@pytest.mark.parametrize(
    ("at", "reply"),
    [
        ("rcpt", "550 5.1.1 no such user"),
        ("rcpt", "552 5.2.2 mailbox full"),
        ("rcpt", "554 5.7.1 not for you"),
        ("body", "550 5.7.1 spam"),
        ("body", "552 5.3.4 too big"),
        ("body", "554 5.6.0 what is this"),
    ],
)
async def test_what_is_refused_for_good_is_tried_once(office: Office, at: Any, reply: str) -> None:
    await office.mails.answer_next(reply, at=at)
    async with office.open():
        await office.world.tell(Customer().unpaid("in_1"))
        delivery = await office.until_status(KEY, "failed")
        await office.world.tell(Customer("autre@exemple.fr").unpaid("in_2"))
        await office.until_status("unpaid:in_2:1", "accepted")
    assert (delivery["attempts"], delivery["why"]) == (1, "refused")
    assert reply in delivery["answer"]


@pytest.mark.parametrize(
    "trouble",
    [
        {"drop": True, "keep": True},
        {"drop": True},
        {"delay_seconds": 1.5},
        {"delay_seconds": 1.5, "keep": True},
        {"reply": "354 what now"},
    ],
    ids=lambda trouble: "-".join(map(str, trouble)),
)
async def test_what_may_have_been_taken_is_unknown_and_tried_once(
    office: Office, trouble: dict[str, Any]
) -> None:
    await office.mails.answer_next(at="body", recipient="compta@exemple.fr", **trouble)
    async with office.open():
        await office.world.tell(Customer().unpaid("in_1"))
        await office.until_status(KEY, "unknown")
        await office.world.tell(Customer("autre@exemple.fr").unpaid("in_2"))
        await office.until_status("unpaid:in_2:1", "accepted")
    delivery = await office.until_status(KEY, "unknown")
    assert delivery["attempts"] == 1
    assert len(await office.mails.mails(recipient="compta@exemple.fr")) <= 1


async def test_those_who_failed_together_come_back_apart(office: Office) -> None:
    await office.mails.answer_next("451 4.3.0 try later", times=0)
    customers = [Customer(f"client{n}@exemple.fr") for n in range(12)]
    await office.queue(*(customer.unpaid(f"in_{n}") for n, customer in enumerate(customers)))
    async with office.open(SENDER, retry_first_seconds=60, retry_longest_seconds=600):
        rows = await until(lambda: failed_once(office), what="a try of each")
    gaps = [(row["due_at"] - row["sending_at"]).total_seconds() for row in rows]
    # Half of a minute at least, whatever the jitter; a minute and what the send itself took at most.
    assert all(gap > 29 for gap in gaps), gaps
    assert len({round(gap) for gap in gaps}) > 4


async def failed_once(office: Office) -> list[dict[str, Any]]:
    rows = await office.deliveries()
    return rows if all(row["status"] == "pending" and row["attempts"] == 1 for row in rows) else []
