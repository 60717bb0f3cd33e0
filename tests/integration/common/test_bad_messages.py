"""What does not parse, on a topic: one log line, nothing lost, nothing stuck, everything told."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common import inbox
from libs.common.consumer import LARGEST_BATCH
from libs.common.envelope import Envelope
from libs.common.events import Event
from libs.common.events.billing import InvoicePaid
from libs.common.events.operations import EventSetAside
from libs.common.events.scheduler import SignupStepDue
from libs.common.router import EventRouter, Heard
from tests.integration.common.rig import SERVICE, Rig, add_effect, counting_router, paid, step
from tests.world import until

TOPIC = "billing.events"


@dataclass(frozen=True)
class Message:
    """A message with whatever is wrong in it."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def message(event: Event, **headers: bytes | None) -> Message:
    """The event as its teller writes it, some headers changed or left out."""
    envelope = Envelope(
        event_id=event.event_id,
        type=event.type,
        source=f"/relance/{event.teller()}",
        key=event.key,
        time=datetime.now(UTC),
        data=event.to_bytes(),
        revision=3,
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    )
    whole = dict(envelope.headers()) | headers
    return Message(event.key.encode(), envelope.data, [(n, v) for n, v in whole.items() if v is not None])


def with_value(value: bytes | None) -> Message:
    good = message(paid())
    return Message(good.key, value, good.headers)


def with_key(key: bytes | None) -> Message:
    good = message(paid())
    return Message(key, good.value, good.headers)


# What each must become: a dead letter whose cause says this.
SET_ASIDE: dict[str, tuple[Message, str]] = {
    "not JSON": (with_value(b"{nonsense"), "does not parse"),
    "not UTF-8": (with_value(b'{"a": "\xff\xfe"}'), "does not parse"),
    "half a value": (with_value(paid().to_bytes()[:40]), "does not parse"),
    "an empty value": (with_value(b""), "does not parse"),
    "a null value": (with_value(None), "does not parse"),
    "another event's value": (with_value(step().to_bytes()), "invoice_id"),
    "900 KB of nothing": (with_value(b"\x00" * 900_000), "does not parse"),
    "deeper than any stack": (with_value(b"[" * 200_000), "does not parse"),
    "no headers": (Message(b"k", b"{}", []), "'ce_id' is missing"),
    "nothing at all": (Message(b"", None, []), "'ce_id' is missing"),
    "no id": (message(paid(), ce_id=None), "'ce_id' is missing"),
    "no type": (message(paid(), ce_type=None), "'ce_type' is missing"),
    "no source": (message(paid(), ce_source=None), "'ce_source' is missing"),
    "no time": (message(paid(), ce_time=None), "'ce_time' is missing"),
    "a time without offset": (message(paid(), ce_time=b"2026-11-23T10:00:00"), "'ce_time'"),
    "an id that is none": (message(paid(), ce_id=b"7"), "'ce_id'"),
    "a revision beyond bigint": (message(paid(), ce_revision=b"9" * 25), "'ce_revision'"),
    "a negative revision": (message(paid(), ce_revision=b"-1"), "'ce_revision'"),
    "a header not UTF-8": (message(paid(), ce_source=b"\xff\xfe"), "'ce_source'"),
    "an unused header not UTF-8": (message(paid(), traceparent=b"\xff"), "'traceparent'"),
    "a key not UTF-8": (with_key(b"\xff\xfe"), "'key'"),
    "a NUL in the key": (with_key(b"a\x00b"), "0x00"),
    "a NUL in a header": (message(paid(), ce_source=b"a\x00b"), "0x00"),
    "a NUL in the trace": (message(paid(), traceparent=b"a\x00b"), "0x00"),
    "a key that no index holds": (with_key(secrets.token_hex(8000).encode()), "index"),
}


@pytest.mark.parametrize("name", SET_ASIDE)
async def test_it_is_set_aside_with_its_bytes_and_the_next_goes_on(
    name: str, rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="relance")
    bad, cause = SET_ASIDE[name]
    good = paid()
    same_key = good.model_copy(update={"invoice_id": "in_same_key"})
    async with rig.world.running(rig.app(counting_router())):
        await rig.world.tell(good)
        await rig.world.tell_raw(TOPIC, key=bad.key, value=bad.value, headers=bad.headers)
        await rig.world.tell(same_key)
        await rig.until_handled([good, same_key])
        [row] = await until(lambda: dead_letters(rig), what="the dead letter")
        [told] = await rig.until_told_set_aside(row["event_id"])
        await rig.until_relayed()
    assert cause in row["cause"]
    assert row["data"] == (bad.value or b"")
    assert (told.service, told.cause) == (SERVICE, row["cause"])
    lines = [
        r.getMessage() for r in caplog.records if r.name.startswith("relance") and "aside" in r.getMessage()
    ]
    assert len(lines) == 1, lines


async def dead_letters(rig: Rig) -> list[dict[str, Any]]:
    return await rig.world.rows(SERVICE, "select * from inbox where status = 'dead' order by seq")


async def test_what_is_no_event_twice_is_set_aside_once_a_place(rig: Rig) -> None:
    router = counting_router()
    for _ in range(2):  # two processes, one after the other, on the same topic
        await rig.world.tell_raw(TOPIC, key=b"k", value=b"x", headers=[])
        async with rig.world.running(rig.app(router)):
            await rig.world.tell(good := paid())
            await rig.until_handled([good])
    dead = await dead_letters(rig)
    assert len(dead) == 2
    assert len(await rig.outbox(EventSetAside)) == 2


async def test_an_unknown_type_is_left_in_kafka_and_said_once(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig.world.running(rig.app(counting_router())):
        for _ in range(3):
            unknown = message(paid(), ce_type=b"billing.from_the_future.v9")
            await rig.world.tell_raw(TOPIC, key=unknown.key, value=unknown.value, headers=unknown.headers)
        await rig.world.tell(good := paid())
        await rig.until_handled([good])
    assert await rig.effect_ids() == [good.event_id]
    assert await rig.world.rows(SERVICE, "select type from inbox") == [{"type": InvoicePaid.type}]
    said = [r.getMessage() for r in caplog.records if "billing.from_the_future.v9" in r.getMessage()]
    assert len(said) == 1


async def test_an_event_that_others_hear_is_nothing_to_this_service(rig: Rig) -> None:
    async with rig.world.running(rig.app(counting_router())):
        strange = message(step())
        await rig.world.tell_raw(TOPIC, key=strange.key, value=strange.value, headers=strange.headers)
        await rig.world.tell(good := paid())
        await rig.until_handled([good])
    assert await rig.world.rows(SERVICE, "select type from inbox") == [{"type": InvoicePaid.type}]


async def test_a_value_of_900_kb_is_worked(rig: Rig) -> None:
    large = paid(customer_name="x" * 880_000)
    async with rig.world.running(rig.app(counting_router())):
        await rig.world.tell(large)
        await rig.world.tell(behind := paid(large.company_id))
        await rig.until_handled([large, behind])


async def test_a_header_twice_does_not_matter(rig: Rig) -> None:
    event = paid()
    good = message(event)
    async with rig.world.running(rig.app(counting_router())):
        await rig.world.tell_raw(
            TOPIC, key=good.key, value=good.value, headers=[("ce_id", b"?"), *good.headers]
        )
        await rig.until_handled([event])


FOLD = text("insert into effects (event_id, key, note) values (:event_id, :key, :note)")


def folding_router(is_broken: list[bool], sizes: list[int]) -> EventRouter:
    """Folds steps into `effects`; one named `poison` breaks its batch as long as the list holds something."""
    router = EventRouter(SERVICE)

    @router.fold(SignupStepDue)
    async def fold_steps(heard: Sequence[Heard[SignupStepDue]], session: AsyncSession) -> None:
        sizes.append(len(heard))
        if is_broken and any(h.event.step == "poison" for h in heard):
            raise KeyError("no such step")
        values = [
            {"event_id": h.envelope.event_id, "key": h.envelope.key, "note": str(h.envelope.revision)}
            for h in heard
        ]
        await session.execute(FOLD, values)

    @router.on(InvoicePaid)
    async def note_payment(event: InvoicePaid, uow: object) -> None:
        await add_effect(uow, event)  # type: ignore[arg-type]

    return router


async def test_a_fold_that_fails_for_one_event_keeps_the_others_and_can_be_replayed(rig: Rig) -> None:
    is_broken, sizes = [True], list[int]()
    poison = step(name="poison")
    steps = [step() for _ in range(60)]
    for event in (*steps[:30], poison, *steps[30:]):
        await rig.world.tell(event)
    await rig.world.tell(payment := paid())
    async with rig.world.running(rig.app(folding_router(is_broken, sizes))):
        await rig.until_handled([*steps, payment])
        dead = await rig.until_status(poison, "dead")
        assert dead["cause"] == "KeyError: 'no such step'"
        assert sorted(await rig.effect_ids()) == sorted(e.event_id for e in (*steps, payment))
        assert 1 in sizes
        assert max(sizes) <= LARGEST_BATCH
        await rig.until_told_set_aside(poison.event_id)
        is_broken.clear()
        async with rig.database().begin() as uow:
            assert await inbox.mark_pending_again(uow.session, poison.event_id) == [poison.event_id]
        await rig.until_status(poison, "done")
    # The replay folded it, with the revision that it came with.
    assert (poison.event_id, "1") in await rig.effects()


async def test_a_fold_whose_bytes_do_not_parse_is_set_aside(rig: Rig) -> None:
    event = step()
    bad = message(event)
    async with rig.world.running(rig.app(folding_router([], []))):
        await rig.world.tell_raw("scheduler.events", key=bad.key, value=b"{}", headers=bad.headers)
        await rig.world.tell(good := step(event.company_id))
        await rig.until_handled([good])
        dead = await rig.until_status(event, "dead")
    assert "does not parse" in str(dead["cause"])


async def test_what_tells_of_set_aside_events_is_not_told_of_itself(rig: Rig) -> None:
    """Or a service that hears its own topic would tell for ever."""
    router = counting_router()

    @router.on(EventSetAside)
    async def refuse(event: EventSetAside, uow: object) -> None:
        raise KeyError("cannot hear it")

    async with rig.world.running(rig.app(router, retry_attempts=1)):
        await rig.world.tell_raw(TOPIC, key=b"k", value=b"x", headers=[])

        async def look() -> bool:
            return len(await dead_letters(rig)) == 2

        await until(look, what="the message and what was told of it, both dead")
        await rig.world.tell(good := paid())
        await rig.until_handled([good])
    assert len(await rig.outbox(EventSetAside)) == 1
