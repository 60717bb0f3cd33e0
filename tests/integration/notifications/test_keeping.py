"""What is kept of a message: its bytes for a while, its record for good."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.clock import utc_now
from libs.common.database import Database
from services.notifications import queries
from services.notifications.jobs import forget_old
from services.notifications.jobs.forgetting import BATCH
from tests.integration.notifications.office import Office
from tests.unit.notifications.facts import Customer
from tests.world import until

KEY = "an-internal-key-of-this-test"
DOOR: dict[str, Any] = {"interne_apikey": KEY}
HEADERS = {"X-Api-Key": KEY}
KEEP = timedelta(days=90)

MANY = """
    insert into deliveries (id, dedup_key, company_id, kind, category, channel, recipient, recipient_name,
        invoice_ids, context, status, due_at, expires_at, content, event_id, event_type, created_at,
        settled_at)
    select gen_random_uuid(), 'k' || n, gen_random_uuid(), 'unpaid', 'legal', 'mail', 'a@b.fr', 'A', '{}',
        '{"customer_name": "A", "stage": 1}', 'accepted', now(), now(), 'mail', gen_random_uuid(), 't',
        now() - interval '91 days', now() - interval '91 days'
    from generate_series(1, $1::int) n
"""
LEFT = "select count(*) as n from deliveries where content is not null"


def database_of(office: Office) -> Database:
    url = office.settings().service_database_url("notifications")
    return Database(url, service="notifications", teller="notifications", pool_size=3)


async def test_after_its_time_only_the_record_of_a_message_is_left(office: Office) -> None:
    customer = Customer()
    async with office.open(**DOOR) as client:
        await office.world.tell(customer.unpaid("in_1"))
        await office.world.tell(Customer("autre@exemple.fr").unpaid("in_2"))
        old = await office.until_status("unpaid:in_1:1", "accepted")
        young = await office.until_status("unpaid:in_2:1", "accepted")
        content = f"/internal/deliveries/{old['id']}/content"
        assert (await client.get(content, headers=HEADERS)).status_code == 200
        await office.world.rows(
            "notifications",
            "update deliveries set settled_at = settled_at - interval '91 days' where id = $1",
            old["id"],
        )
    async with office.open(**DOOR) as client:

        async def is_gone() -> bool:
            return (await client.get(content, headers=HEADERS)).status_code == 410

        await until(is_gone, what="the bytes being forgotten")
        shown = (await client.get(f"/internal/deliveries/{old['id']}", headers=HEADERS)).json()
        kept = await client.get(f"/internal/deliveries/{young['id']}/content", headers=HEADERS)
    assert kept.content == bytes(young["content"])
    now = await office.until_status("unpaid:in_1:1", "accepted")
    changed = {name for name, value in old.items() if now[name] != value} - {"settled_at"}
    assert changed == {"content", "context", "forgotten_at"}
    assert now["content"] is None
    assert set(json.loads(now["context"])) == {
        "deadline_at",
        "stage",
        "invoice_id",
        "currency",
        "cases_being_tried",
    }
    assert "Ménard" not in now["context"]
    assert "4242" not in now["context"]
    assert [state["status"] for state in shown["states"]] == ["pending", "sending", "accepted"]
    assert shown["delivery"]["recipient"] == customer.email
    assert not shown["delivery"]["has_content"]
    assert shown["fact"]["type"] == "billing.invoice_unpaid.v1"


async def test_two_processes_share_the_work_and_a_kill_loses_at_most_a_batch(office: Office) -> None:
    await office.world.rows("notifications", MANY, BATCH * 5)
    one, other = database_of(office), database_of(office)
    try:
        async with one.preview() as uow:  # somebody who is killed in the middle of a batch
            now = uow.now
            await queries.forget_contents(uow.session, before=now - KEEP, now=now, limit=BATCH)
            done = await forget_old(other, KEEP)  # nobody waits for him
            assert done == BATCH
        [left] = await office.world.rows("notifications", LEFT)
        assert left["n"] == BATCH * 4

        async def work(database: Database) -> int:
            total = 0
            while done := await forget_old(database, KEEP):
                total += done
            return total

        totals = await asyncio.gather(work(one), work(other))
    finally:
        await one.close()
        await other.close()
    assert sum(totals) == BATCH * 4
    [left] = await office.world.rows("notifications", LEFT)
    assert left["n"] == 0


async def test_what_is_still_to_be_sent_is_not_forgotten_however_old(office: Office) -> None:
    await office.world.rows("notifications", MANY, 1)
    await office.world.rows(
        "notifications", "update deliveries set status = 'pending', settled_at = null, due_at = 'infinity'"
    )
    database = database_of(office)
    try:
        assert await forget_old(database, KEEP) == 0
    finally:
        await database.close()
    [left] = await office.world.rows("notifications", LEFT)
    assert left["n"] == 1


async def test_deliveries_are_listed_by_what_they_are_page_by_page(office: Office) -> None:
    customer = Customer()
    async with office.open(**DOOR) as client:
        for n in range(7):
            await office.world.tell(customer.paid(f"in_{n}"))
        await office.world.tell(Customer("autre@exemple.fr").unpaid("in_x"))
        await office.until_all(8, "accepted")

        async def page(**wanted: object) -> dict[str, object]:
            params = {name: str(value) for name, value in wanted.items()}
            answer = await client.get("/internal/deliveries", params=params, headers=HEADERS)
            assert answer.status_code == 200, answer.text
            found: dict[str, object] = answer.json()
            return found

        async def walk(**wanted: object) -> list[str]:
            ids: list[str] = []
            found = await page(**wanted)
            while True:
                ids += [each["id"] for each in found["deliveries"]]  # type: ignore[attr-defined]
                if found["next"] is None:
                    return ids
                found = await page(**wanted, after=found["next"])

        receipts = await walk(company_id=customer.company_id, kind="payment_receipt", limit=3)
        assert len(receipts) == len(set(receipts)) == 7
        rows = await office.deliveries()
        assert set(await walk(limit=2)) == {str(row["id"]) for row in rows}
        today = utc_now().astimezone(ZoneInfo("Europe/Paris")).date()
        assert await walk(kind="unpaid", status="accepted", channel="mail")
        assert await walk(status="unknown") == []
        assert len(await walk(day=today)) + len(await walk(day=today + timedelta(days=1))) == 8
        assert await walk(day="2020-01-01") == []
        for wrong in (
            {"after": "x"},
            {"day": "hier"},
            {"limit": "0"},
            {"colour": "blue"},
            {"day": "9999-12-31"},
        ):
            answer = await client.get("/internal/deliveries", params=wrong, headers=HEADERS)
            assert answer.status_code == 422, wrong
        assert (await client.get("/internal/deliveries")).status_code == 401
        assert (await client.get("/internal/unknown-deliveries")).status_code == 401
        nobody = f"/internal/deliveries/{customer.company_id}"
        assert (await client.get(nobody, headers=HEADERS)).status_code == 404


async def test_what_is_unknown_is_counted(office: Office) -> None:
    await office.mails.answer_next(at="body", drop=True, keep=True, times=2)
    async with office.open(**DOOR) as client:
        await office.world.tell(Customer().unpaid("in_1"))
        await office.world.tell(Customer("autre@exemple.fr").unpaid("in_2"))
        await office.until_all(2, "unknown")
        answer = (await client.get("/internal/unknown-deliveries", headers=HEADERS)).json()
    [unknown] = answer["unknown"]
    assert (unknown["kind"], unknown["channel"], unknown["count"]) == ("unpaid", "mail", 2)
    assert unknown["oldest_at"] is not None
