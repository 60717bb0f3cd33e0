"""What became of a message after it was taken: providers' callbacks, look-ups, a person's word."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from click.testing import CliRunner

from libs.common.events.notifications import (
    DeliveryAccepted,
    DeliveryBounced,
    DeliveryDelivered,
    DeliveryUnknown,
)
from services.cli import relance
from tests.fakes.service_process import environment_of
from tests.integration.notifications.office import BREVO_TOKEN, SMSMODE_TOKEN, Office
from tests.servers import Servers
from tests.unit.notifications.facts import Customer
from tests.world import until

KEY = "unpaid:in_1:1"
BREVO = f"/webhooks/brevo/{BREVO_TOKEN}"


def said(delivery_id: UUID, event: str, **changes: Any) -> dict[str, Any]:
    return {
        "event": event,
        "email": "compta@exemple.fr",
        "ts_epoch": 1772440205123,
        "message-id": f"<{delivery_id}@relance.test>",
        "X-Mailin-custom": str(delivery_id),
        **changes,
    }


async def post(http: httpx.AsyncClient, *bodies: dict[str, Any], path: str = BREVO) -> list[int]:
    return [(await http.post(path, json=body)).status_code for body in bodies]


async def worked(office: Office, count: int) -> Sequence[dict[str, Any]]:
    """The callbacks that were stored, once they are so many and none waits."""

    async def look() -> list[dict[str, Any]]:
        rows = await office.world.rows("notifications", "select * from provider_events order by seq")
        return rows if len(rows) == count and all(row["status"] != "pending" for row in rows) else []

    return await until(look, what=f"{count} callbacks worked")


async def verdicts(office: Office) -> list[tuple[str, str, str]]:
    rows = await office.world.rows("notifications", "select * from address_verdicts")
    return [(row["channel"], row["address"], row["verdict"]) for row in rows]


async def test_brevo_tells_that_it_was_delivered_in_any_order_and_repeatedly(office: Office) -> None:
    orders = list(itertools.permutations(["request", "deferred", "delivered", "unique_proxy_open"]))[::3]
    customers = [Customer(f"client{n}@exemple.fr") for n in range(len(orders))]
    async with office.open() as http:
        for n, customer in enumerate(customers):
            await office.world.tell(customer.unpaid(f"in_{n}"))
        for n, order in enumerate(orders):
            delivery = await office.until_status(f"unpaid:in_{n}:1", "accepted")
            bodies = [said(delivery["id"], event) for event in order]
            assert set(await post(http, *bodies, *reversed(bodies))) == {200}
        await office.until_all(len(orders), "delivered")
        await worked(office, 4 * len(orders))
        told = await until(lambda: office.told(DeliveryDelivered, len(orders)))
    assert len(told) == len(orders)
    for n in range(len(orders)):
        assert await office.history(f"unpaid:in_{n}:1") == ["pending", "sending", "accepted", "delivered"]


@pytest.mark.parametrize(
    ("events", "status", "address_is_dead"),
    [
        ([("delivered", "")], "delivered", False),
        ([("delivered", ""), ("hard_bounce", "550 5.1.1 no such user")], "bounced", True),
        ([("hard_bounce", "550 5.1.1 no such user"), ("delivered", ""), ("request", "")], "bounced", True),
        ([("deferred", "550 5.1.1 user unknown")], "bounced", True),
        ([("deferred", "451 4.7.1 greylisted"), ("soft_bounce", "452 4.2.2 full")], "accepted", False),
        ([("blocked", "")], "bounced", False),
        ([("unique_proxy_open", ""), ("opened", ""), ("click", "")], "accepted", False),
    ],
)
async def test_what_brevo_says_moves_the_delivery(
    office: Office, events: list[tuple[str, str]], status: str, *, address_is_dead: bool
) -> None:
    async with office.open() as http:
        await office.world.tell(Customer().unpaid("in_1"))
        delivery = await office.until_status(KEY, "accepted")
        await post(http, *(said(delivery["id"], event, reason=reason) for event, reason in events))
        await worked(office, len(events))
        await office.until_status(KEY, status)
        if status == "bounced":
            [bounced] = await until(lambda: office.told(DeliveryBounced, 1))
            assert bounced.invoice_ids == ("in_1",)
    assert await verdicts(office) == ([("mail", "compta@exemple.fr", "bounces")] if address_is_dead else [])


async def test_an_unknown_mail_is_settled_by_a_callback(office: Office) -> None:
    await office.mails.answer_next(at="body", drop=True, keep=True)
    async with office.open() as http:
        await office.world.tell(Customer().unpaid("in_1"))
        delivery = await office.until_status(KEY, "unknown")
        await post(http, said(delivery["id"], "request"))
        await office.until_status(KEY, "accepted")
        await post(http, said(delivery["id"], "delivered"))
        await office.until_status(KEY, "delivered")
        await until(lambda: office.told(DeliveryDelivered, 1))
    assert len(await office.world.told(DeliveryUnknown)) == 1
    [accepted] = await office.world.told(DeliveryAccepted)
    assert accepted.invoice_ids == ("in_1",)
    assert len(await office.mails.mails()) == 1


async def test_a_callback_faster_than_the_answer_is_no_harm(office: Office) -> None:
    await office.mails.answer_next(at="body", delay_seconds=1.0)
    async with office.open(smtp_timeout_seconds=5, lease_seconds=20) as http:
        await office.world.tell(Customer().unpaid("in_1"))
        delivery = await office.until_status(KEY, "sending")
        await post(http, said(delivery["id"], "delivered"))
        await office.until_status(KEY, "delivered")
        await until(office.mails.mails)
        await until(lambda: office.told(DeliveryAccepted, 1))
    assert await office.history(KEY) == ["pending", "sending", "accepted", "delivered"]
    assert (await office.statuses())[KEY] == ("delivered", None)


async def test_several_in_one_post_and_about_nobody(office: Office) -> None:
    async with office.open() as http:
        await office.world.tell(Customer().unpaid("in_1"))
        delivery = await office.until_status(KEY, "accepted")
        both = [said(delivery["id"], "delivered"), said(uuid4(), "delivered")]
        assert (await http.post(BREVO, json=both)).status_code == 200
        await office.until_status(KEY, "delivered")
        rows = await worked(office, 2)
    assert [row["outcome"] for row in rows] == ["delivered", "about no delivery of ours"]
    assert [row["delivery_id"] for row in rows] == [delivery["id"], None]


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"brevo:{password}".encode()).decode()}


async def test_only_those_who_know_the_token_get_in(office: Office) -> None:
    body = said(uuid4(), "delivered")
    async with office.open() as http:
        tries = {
            "path": await http.post(BREVO, json=body),
            "bearer": await http.post(
                "/webhooks/brevo", json=body, headers={"Authorization": f"Bearer {BREVO_TOKEN}"}
            ),
            "basic": await http.post("/webhooks/brevo", json=body, headers=basic(BREVO_TOKEN)),
            "none": await http.post("/webhooks/brevo", json=body),
            "wrong": await http.post("/webhooks/brevo/wrong", json=body),
            "another's": await http.post(f"/webhooks/brevo/{SMSMODE_TOKEN}", json=body),
            "wrong basic": await http.post("/webhooks/brevo", json=body, headers=basic("wrong")),
            "no base64": await http.post("/webhooks/brevo", json=body, headers={"Authorization": "Basic !"}),
            "nobody": await http.post(f"/webhooks/nobody/{BREVO_TOKEN}", json=body),
        }
    allowed = {name for name, answer in tries.items() if answer.status_code == 200}
    assert allowed == {"path", "bearer", "basic"}
    assert tries["nobody"].status_code == 404
    assert {tries[name].status_code for name in ("none", "wrong", "another's", "wrong basic")} == {401}
    assert len(await worked(office, 1)) == 1


async def test_a_door_without_a_token_is_closed(office: Office) -> None:
    async with office.open(brevo_webhook_token=None, smsmode_webhook_token=None) as http:
        for path in ("/webhooks/brevo", "/webhooks/brevo/x", "/webhooks/smsmode", "/webhooks/smsmode/"):
            answer = await http.post(path, json=said(uuid4(), "delivered"), headers=basic(""))
            assert answer.status_code in (401, 404, 307), path


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"3", 400),
        (b'{"event": "delivered"}', 400),
        (b'["delivered"]', 400),
        (b"[" * 100_000, 400),
        (b'{"event": "' + b"x" * 300_000 + b'"}', 413),
        (b'{"event": "delivered\\u0000\\ud800", "message-id": "<x@y>"}', 200),
    ],
)
async def test_what_makes_no_sense_is_refused_and_breaks_nothing(
    office: Office, body: bytes, status: int
) -> None:
    async with office.open() as http:
        assert (await http.post(BREVO, content=body)).status_code == status
        assert await post(http, said(uuid4(), "delivered")) == [200]


async def test_what_cannot_be_stored_is_asked_for_again(office: Office, servers: Servers) -> None:
    async with office.open() as http:
        owner = await asyncpg.connect(servers.database_url)
        try:
            await owner.execute(f'alter database "{office.world.name}" allow_connections false')
            await owner.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", office.world.name
            )
            assert await post(http, said(uuid4(), "delivered")) == [503]
        finally:
            await owner.execute(f'alter database "{office.world.name}" allow_connections true')
            await owner.close()

        async def is_back() -> bool:
            return await post(http, said(uuid4(), "delivered")) == [200]

        await until(is_back, what="the door open again")


async def unknown(office: Office) -> UUID:
    await office.mails.answer_next(at="body", drop=True, keep=False, recipient="compta@exemple.fr")
    await office.world.tell(Customer().unpaid("in_1"))
    row = await office.until_status(KEY, "unknown")
    return UUID(str(row["id"]))


async def test_a_person_settles_what_left(office: Office) -> None:
    key = {"X-Api-Key": "an-internal-key-for-tests"}
    async with office.open(interne_apikey=key["X-Api-Key"]) as http:
        path = f"/internal/deliveries/{await unknown(office)}/settle"
        body = {"outcome": "sent", "by": "Nadia"}
        assert (await http.post(path, json=body)).status_code == 401
        assert (await http.post(path, json={**body, "outcome": "perhaps"}, headers=key)).status_code == 422
        settled = await http.post(path, json=body, headers=key)
        assert (settled.status_code, settled.json()) == (200, {"status": "accepted"})
        assert (await http.post(path, json=body, headers=key)).status_code == 409
        await until(lambda: office.told(DeliveryAccepted, 1))
    assert "Nadia" in (await office.until_status(KEY, "accepted"))["answer"]
    assert await office.mails.mails() == ()


async def test_the_command_settles_what_did_not_leave_and_it_is_sent_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office.open():
        delivery_id = await unknown(office)
    settings = {
        "mailer_dsn": office.catcher.dsn,
        "mail_sender": "Relance <r@relance.test>",
        "login_url": "https://x",
    }
    environment = environment_of(office.world, **settings)
    listed = await run(monkeypatch, environment, "unknown")
    assert str(delivery_id) in listed
    assert "compta@exemple.fr" in listed
    settled = await run(monkeypatch, environment, "settle", str(delivery_id), "not-sent", "--by", "Nadia")
    assert "is pending" in settled
    assert "nothing to settle" in await run(monkeypatch, environment, "settle", str(delivery_id), "sent")
    async with office.open():
        delivery = await office.until_status(KEY, "accepted")
    assert delivery["attempts"] == 2
    assert len(await office.mails.mails()) == 1
    assert await office.history(KEY) == ["pending", "sending", "unknown", "pending", "sending", "accepted"]


async def run(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], *words: str) -> str:
    import asyncio

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = await asyncio.to_thread(CliRunner().invoke, relance, ["notifications", *words])
    return result.output


@pytest.mark.parametrize(
    ("answer", "address_is_dead"),
    [("550 5.1.1 no such user", True), ("550 5.7.1 we do not like you", False)],
)
async def test_a_refusal_at_the_door_is_read_for_what_it_says_of_the_address(
    office: Office, answer: str, *, address_is_dead: bool
) -> None:
    await office.mails.answer_next(answer, at="rcpt")
    async with office.open():
        await office.world.tell(Customer("Compta@exemple.fr").unpaid("in_1"))
        await office.until_status(KEY, "failed")
    assert await verdicts(office) == ([("mail", "compta@exemple.fr", "bounces")] if address_is_dead else [])
