"""The webhook's door: what is believed is in Kafka before the 200, bytes unchanged; all else is refused."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from libs.common.service import Door
from services.billing.app import create_app
from services.billing.settings import BillingSettings
from tests.builders.stripe_events import body_of, event, invoice, signed
from tests.world import World, until

OLD, NEW = "whsec_old_secret", "whsec_new_secret"
PATH = "/webhooks/stripe"


@pytest.fixture
def ingress_settings(world: World) -> BillingSettings:
    return world.settings(
        BillingSettings,
        stripe_sk="sk_test_1",
        stripe_webhook_secrets=f"{OLD}, {NEW}",
        stripe_api_base="http://127.0.0.1:1",
        kafka_timeout_seconds=2,
    )


@pytest.fixture
async def door(world: World, ingress_settings: BillingSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with world.running(create_app(ingress_settings, doors=frozenset({Door.HTTP}))) as http:

        async def is_ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        await until(is_ready, what="the ingress is ready")
        yield http


async def send(
    door: httpx.AsyncClient, body: bytes, signature: str | None = None, *, secret: str = NEW
) -> httpx.Response:
    headers = {"stripe-signature": signed(body, secret) if signature is None else signature}
    return await door.post(PATH, content=body, headers={k: v for k, v in headers.items() if v})


async def test_a_signed_webhook_is_in_kafka_byte_for_byte_before_the_200(
    world: World, door: httpx.AsyncClient
) -> None:
    body = b' {"id": "evt_1", "type":"invoice.paid",\n "data": {"object": {"id":"in_1","customer":"cus_7"}}}'
    answer = await send(door, body)
    assert answer.status_code == 200
    [told] = await world.envelopes("stripe")
    assert told.data == body
    assert (told.key, told.type) == ("cus_7", "stripe.event_received.v1")
    assert told.traceparent is not None


@pytest.mark.parametrize("secret", [OLD, NEW])
async def test_both_secrets_are_believed_while_one_is_being_rolled(
    door: httpx.AsyncClient, secret: str
) -> None:
    assert (await send(door, body_of(event("invoice.paid", invoice())), secret=secret)).status_code == 200


def _bad_signatures() -> dict[str, tuple[bytes, str]]:
    body = body_of(event("invoice.paid", invoice()))
    now = time.time()
    return {
        "unsigned": (body, ""),
        "wrongly signed": (body, signed(body, "whsec_somebody_else")),
        "signed for other bytes": (body, signed(body + b" ", NEW)),
        "too old": (body, signed(body, NEW, at=now - 600)),
        "too new": (body, signed(body, NEW, at=now + 600)),
        "only an old scheme": (body, signed(body, NEW, scheme="v0")),
        "not a signature": (body, "hello"),
        "no timestamp": (body, "v1=" + "0" * 64),
        "a timestamp that is no number": (body, "t=x,v1=" + "0" * 64),
        "an absurd timestamp": (body, f"t={10**40},v1=" + "0" * 64),
        "letters that are not ASCII": (body, "t=1,v1=é"),
        "not UTF-8": (b"\xff\xfe", signed(b"\xff\xfe", NEW)),
    }


async def test_what_is_not_signed_by_stripe_now_is_refused(
    world: World, door: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for name, (body, signature) in _bad_signatures().items():
        caplog.clear()
        headers = {b"stripe-signature": signature.encode()} if signature else {}
        with caplog.at_level(logging.WARNING, "relance.ingress"):
            answer = await door.post(PATH, content=body, headers=headers)
        assert answer.status_code == 400, name
        assert answer.json()["error"]["code"] == "signature_refused", name
        assert len([r for r in caplog.records if r.name == "relance.ingress"]) == 1, name
    assert await world.envelopes("stripe") == []


NO_EVENTS = (
    b"",
    b"not json",
    b"[]",
    b'"text"',
    b"null",
    b"{}",
    b'{"id":"evt_1"}',
    b'{"id":1,"type":"invoice.paid","data":{"object":{}}}',
    b'{"id":"evt_1","type":"invoice.paid","data":[]}',
    b'{"id":"evt_1","type":"invoice.paid","data":{"object":7}}',
    b"[" * 100_000,
)


async def test_what_is_signed_but_no_event_is_refused_with_the_reason(
    world: World, door: httpx.AsyncClient
) -> None:
    for body in NO_EVENTS:
        answer = await send(door, body)
        assert answer.status_code == 400, body[:60]
        assert answer.json()["error"]["code"] == "not_an_event", body[:60]
        assert answer.json()["error"]["message"], body[:60]
    assert await world.envelopes("stripe") == []


async def test_a_body_over_the_limit_is_refused_before_it_is_read(door: httpx.AsyncClient) -> None:
    body = body_of(event("invoice.paid", invoice(description="x" * 262_144)))
    assert (await send(door, body)).status_code == 413

    async def without_length() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 65_536

    answer = await door.post(PATH, content=without_length(), headers={"stripe-signature": "t=1,v1=0"})
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large"


async def test_the_largest_body_allowed_is_taken(world: World, door: httpx.AsyncClient) -> None:
    empty = len(body_of(event("invoice.paid", invoice(description=""))))
    body = body_of(event("invoice.paid", invoice(description="x" * (262_144 - empty))))
    assert len(body) == 262_144
    assert (await send(door, body)).status_code == 200
    [told] = await world.envelopes("stripe")
    assert told.data == body


async def test_an_event_of_a_type_that_we_have_no_use_for_is_taken_too(door: httpx.AsyncClient) -> None:
    assert (await send(door, body_of(event("radar.early_fraud_warning.created", {"id": "x"})))).is_success


async def test_other_methods_and_paths_are_refused(door: httpx.AsyncClient) -> None:
    assert (await door.get(PATH)).status_code == 405
    assert (await door.post("/webhooks")).status_code == 404


async def test_without_kafka_the_answer_is_503_within_five_seconds_and_200_afterwards(
    world: World, ingress_settings: BillingSettings
) -> None:
    nowhere = ingress_settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:9"})
    async with world.running(create_app(nowhere, doors=frozenset({Door.HTTP}))) as http:
        async with asyncio.timeout(5):
            answer = await send(http, body_of(event("invoice.paid", invoice())))
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "not_stored"
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/healthz")).status_code == 200


async def test_a_signed_event_that_is_no_invoice_is_set_aside_and_the_next_goes_on(
    world: World, ingress_settings: BillingSettings
) -> None:
    """What the door cannot know to be wrong (an invoice without a date) stops nobody else."""
    broken = body_of(event("invoice.paid", {"id": "in_x", "customer": "cus_1"}, id_="evt_broken"))
    good = body_of(event("invoice.paid", invoice(status="paid"), id_="evt_good"))
    async with world.running(create_app(ingress_settings)) as http:

        async def is_ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        await until(is_ready, what="billing is ready")
        for body in (broken, good):
            assert (await send(http, body)).status_code == 200

        async def both() -> bool:
            rows = await world.rows("billing", "select status, cause, data from inbox order by seq")
            return [r["status"] for r in rows] == ["dead", "done"] and rows[0]["data"] == broken

        await until(both, what="one set aside with its bytes, one done")
    [row] = await world.rows("billing", "select cause from inbox where status = 'dead'")
    assert "created" in row["cause"]
    assert json.loads(good)["id"] in str(await world.rows("billing", "select * from stripe_events"))


@pytest.mark.parametrize(
    "strange", [{"livemode": True}, {"account": "acct_of_another"}], ids=["live mode", "another account"]
)
async def test_what_is_signed_but_not_ours_is_answered_and_not_stored(
    world: World, door: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, strange: dict[str, Any]
) -> None:
    """A refusal would only come again for three days."""
    with caplog.at_level(logging.WARNING, "relance.ingress"):
        answer = await send(door, body_of(event("invoice.paid", invoice(), **strange)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, "not_ours")
    assert len(caplog.records) == 1
    assert await world.envelopes("stripe") == []
