"""Our own team is told: digested, at Slack's pace, and nothing is lost while Slack is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from libs.common.events import Event
from libs.common.events.billing import DisputeOpened
from libs.common.events.operations import EventSetAside
from libs.devstack.ports import free_port
from libs.devstack.slack_channel.app import PATH, Books
from libs.devstack.stand_ins.control import Control
from libs.devstack.stand_ins.serving import running
from tests.integration.notifications.office import READER, SENDER, Office
from tests.unit.notifications.facts import Customer
from tests.world import until

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
TEAM = "equipe@relance.test"
ADMIN = "http://127.0.0.1:8000"


@pytest.fixture
async def slack(tmp_path: Path) -> AsyncIterator[Control[Books]]:
    async with (
        running("slack_channel", tmp_path / "slack", port=free_port()) as (_, url),
        Control(url, Books) as control,
    ):
        yield control


def told_to(slack: Control[Books], **changes: object) -> dict[str, Any]:
    return {
        "slack_webhook_url": slack.base_url + PATH,
        "slack_timeout_seconds": 1,
        "team_email": TEAM,
        "team_digest_seconds": 0.5,
        "admin_url": ADMIN,
        **changes,
    }


def set_aside(n: int = 0) -> EventSetAside:
    return EventSetAside(
        service="billing", set_aside_event_id=uuid4(), set_aside_type="stripe.event_received.v1",
        set_aside_key=f"cus_{n}", cause=f"ValueError: n° {n}", attempts=12, set_aside_at=NOW,
    )  # fmt: skip


def dispute(customer: Customer) -> DisputeOpened:
    return DisputeOpened(
        company_id=customer.company_id, dispute_id="dp_1", amount_cents=2990, currency="eur",
        reason="fraudulent", opened_at=NOW,
    )  # fmt: skip


async def tell(office: Office, *facts: Event) -> None:
    """On billing's topic, as billing would: the fact itself may be anybody's."""
    for fact in facts:
        topic = "billing.events"
        headers = [
            ("ce_specversion", b"1.0"), ("ce_id", str(fact.event_id).encode()),
            ("ce_type", fact.type.encode()),
            ("ce_source", b"/relance/billing"), ("ce_subject", fact.key.encode()),
            ("ce_time", NOW.isoformat().encode()), ("ce_revision", b"1"),
        ]  # fmt: skip
        await office.world.tell_raw(topic, key=fact.key.encode(), value=fact.to_bytes(), headers=headers)


async def digests(office: Office) -> list[dict[str, Any]]:
    return await office.world.rows("notifications", "select * from team_digests order by made_at")


async def until_digest(office: Office, status: str, count: int = 1) -> list[dict[str, Any]]:
    async def look() -> list[dict[str, Any]]:
        rows = [row for row in await digests(office) if row["slack_status"] == status]
        return rows if len(rows) >= count else []

    return await until(look, what=f"{count} digests {status}")


async def until_posted(slack: Control[Books], count: int) -> Books:
    async def look() -> Books | None:
        books = await slack.books()
        return books if len(books.posted) >= count else None

    books = await until(look, what=f"{count} messages on Slack")
    assert books is not None
    return books


async def test_two_hundred_dead_letters_are_one_message_and_one_mail(
    office: Office, slack: Control[Books]
) -> None:
    settings = told_to(slack, team_digest_seconds=8)
    async with office.open(**settings), office.open(**settings):  # two processes
        await tell(office, *(set_aside(n) for n in range(200)), dispute(Customer()))
        books = await until_posted(slack, 1)
        await until_digest(office, "sent")

        async def mails() -> bool:
            return bool(await office.mails.mails(recipient=TEAM))

        await until(mails, what="the team's mail")
    [posted] = books.posted
    assert posted.text == "*Relance* : 1 paiement contesté, 200 événements mis de côté"
    shown = "\n".join(posted.sections)
    assert shown.count("ValueError") == 5
    assert "… et 195 de plus" in shown
    assert f"<{ADMIN}/api/set-aside|Tout voir>" in shown
    assert "https://dashboard.stripe.com/disputes/dp_1" in shown
    [mail] = await office.mails.mails(recipient=TEAM)
    assert mail.subject == "[Relance] 1 paiement contesté, 200 événements mis de côté"
    [digest] = await digests(office)
    assert digest["notices"] == 201
    rows = await office.world.rows("notifications", "select distinct digest_id from team_notices")
    assert [row["digest_id"] for row in rows] == [digest["id"]]
    [delivery] = await office.deliveries()
    assert (delivery["id"], delivery["category"]) == (digest["mail_delivery_id"], "internal")


async def test_nothing_is_lost_while_slack_is_down(office: Office, slack: Control[Books]) -> None:
    await slack.be("down", times=0)
    async with office.open(**told_to(slack)):
        await tell(office, set_aside(1))

        async def is_tried() -> bool:
            return (await slack.books()).answers.get("503", 0) >= 3

        await until(is_tried, what="three tries")
    assert (await slack.books()).posted == ()
    async with office.open(**told_to(slack)):  # another process goes on with it
        await slack.behave()
        await until_digest(office, "sent")
    books = await slack.books()
    assert len(books.posted) == 1
    assert "ValueError: n° 1" in books.posted[0].sections[1]
    [digest] = await digests(office)
    assert digest["slack_attempts"] == sum(books.answers.values())


async def test_its_wish_to_wait_is_for_every_digest_and_a_second_lies_between_two(
    office: Office, slack: Control[Books]
) -> None:
    await slack.be("limited", retry_after_seconds=3)
    settings = told_to(slack, team_digest_seconds=0.05)
    async with office.open(**settings), office.open(**settings):
        for n in range(3):
            await tell(office, set_aside(n))

            async def is_made(count: int = n + 1) -> bool:
                return len(await digests(office)) >= count

            await until(is_made, what="a digest")
        rows = await until_digest(office, "sent", 3)
    books = await slack.books()
    assert books.answers == {"429": 1, "200": 3}
    times = sorted(each.at for each in books.posted)
    first = min(row["made_at"] for row in rows)
    assert (times[0] - first).total_seconds() >= 2.5
    assert all((b - a).total_seconds() >= 1 for a, b in pairwise(times))


async def test_a_lost_answer_is_told_again_and_says_so(office: Office, slack: Control[Books]) -> None:
    await slack.be("lost")
    async with office.open(**told_to(slack)):
        await tell(office, set_aside(1))
        await until_digest(office, "sent")
    second, first = (await slack.books()).posted
    assert "peut-être déjà reçu" not in first.text
    assert "peut-être déjà reçu" in second.text


async def test_a_process_that_died_while_posting_is_stood_in_for(
    office: Office, slack: Control[Books]
) -> None:
    async with office.open(READER | SENDER, **told_to(slack, slack_webhook_url=None)):
        await tell(office, set_aside(1))
        await until_digest(office, "not_sent")
    await office.world.rows(
        "notifications",
        "update team_digests set slack_status = 'sending', slack_attempts = 1, slack_claimed_at = now() - "
        "interval '1 minute', slack_lease_until = now() - interval '1 second'",
    )
    async with office.open(**told_to(slack)):
        await until_digest(office, "sent")
    [posted] = (await slack.books()).posted
    assert "peut-être déjà reçu" in posted.text


async def test_what_slack_never_takes_expires_and_the_mail_went_all_the_same(
    office: Office, slack: Control[Books], caplog: pytest.LogCaptureFixture
) -> None:
    await slack.be("refused", times=0, status=404, word="no_service")
    with caplog.at_level(logging.DEBUG):
        async with office.open(**told_to(slack, team_expiry_hours=3 / 3600)):
            await tell(office, set_aside(1))
            [digest] = await until_digest(office, "expired")
            await office.until_all(1, "accepted")
    assert digest["slack_attempts"] >= 1
    assert "no_service" in digest["slack_answer"]
    assert len(await office.mails.mails(recipient=TEAM)) == 1
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("relance")]
    assert any("has expired" in line for line in ours)
    assert not any(PATH in line for line in ours)


async def test_what_is_wrong_with_a_message_is_said_once(office: Office, slack: Control[Books]) -> None:
    await slack.be("refused", status=400, word="invalid_blocks")
    async with office.open(**told_to(slack)):
        await tell(office, set_aside(1))
        [digest] = await until_digest(office, "failed")
        assert digest["slack_attempts"] == 1
        await asyncio.sleep(0)
        await tell(office, set_aside(2))
        await until_digest(office, "sent")


@pytest.mark.parametrize("manner", ["slow", "nonsense"])
async def test_silence_and_nonsense_are_no_answer(office: Office, slack: Control[Books], manner: Any) -> None:
    await slack.be(manner, delay_seconds=3 if manner == "slow" else 0)
    async with office.open(**told_to(slack)):
        await tell(office, set_aside(1))
        [digest] = await until_digest(office, "sent")
    assert digest["slack_attempts"] == 2


async def test_outside_production_a_real_webhook_is_not_posted_to(
    office: Office, slack: Control[Books]
) -> None:
    elsewhere = "https://hooks.slack.com/services/T1/B1/SECRET"
    async with office.open(**told_to(slack, slack_webhook_url=elsewhere)):
        await tell(office, set_aside(1))
        [digest] = await until_digest(office, "not_sent")
    assert digest["slack_why"] == "not_allowed_outside_prod"
    assert digest["slack_attempts"] == 0


async def test_the_teams_own_mail_that_fails_makes_no_further_one(
    office: Office, slack: Control[Books]
) -> None:
    await office.mails.answer_next("550 5.1.1 no such user", at="rcpt", recipient=TEAM, times=0)
    async with office.open(**told_to(slack, team_failures=1)):
        await tell(office, set_aside(1))
        await office.until_all(1, "failed")
        await until_digest(office, "sent")
        # Its failure was told and heard; a customer's failure is told afterwards, and only that is noticed.
        await office.mails.answer_next("550 5.1.1 no such user", at="rcpt", recipient="compta@exemple.fr")
        await office.world.tell(Customer().unpaid("in_1"))
        await until_digest(office, "sent", 2)
    notices = await office.world.rows(
        "notifications", "select topic, line from team_notices order by added_at"
    )
    assert [row["topic"] for row in notices] == ["dead_letter", "delivery_failed"]
    assert "unpaid par mail" in notices[1]["line"]


async def test_what_is_unknown_is_told_to_the_team(office: Office, slack: Control[Books]) -> None:
    await office.mails.answer_next(at="body", drop=True, keep=True)
    async with office.open(**told_to(slack)):
        await office.world.tell(Customer().unpaid("in_1"))
        books = await until_posted(slack, 1)
    assert books.posted[0].text == "*Relance* : 1 message dont nul ne sait s’il est parti"
