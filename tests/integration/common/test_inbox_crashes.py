"""What a worker has in hand when something dies is undone, and done once by whoever comes next."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import text

from libs.common import inbox
from libs.common.database import Database, Uow
from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure, TemporaryFailure
from libs.common.events.billing import InvoicePaid
from libs.common.router import EventRouter
from libs.common.worker import Worker
from tests.integration.common.rig import SERVICE, Rig, add_effect, counting_router, paid, step
from tests.world import until


async def receive(database: Database, events: Sequence[InvoicePaid]) -> None:
    """Into the inbox, as the reader puts them there."""
    arrivals = [
        inbox.Arrival(
            topic="billing.events",
            partition=0,
            offset=offset,
            envelope=Envelope(
                event_id=event.event_id,
                type=event.type,
                source="/relance/billing",
                key=event.key,
                time=datetime.now(UTC),
                data=event.to_bytes(),
            ),
        )
        for offset, event in enumerate(events)
    ]
    async with database.begin() as uow:
        await inbox.add(uow.session, arrivals)


async def work_until_done(worker: Worker) -> None:
    while await worker.work():
        pass


async def test_two_workers_at_once_work_each_event_once(rig: Rig) -> None:
    database = rig.database()
    events = [paid() for _ in range(60)]
    await receive(database, events)
    settings = rig.settings.model_copy(update={"inbox_batch": 7})
    workers = [Worker(counting_router(), rig.database(), settings) for _ in range(2)]
    await asyncio.gather(*(work_until_done(worker) for worker in workers))
    assert Counter(await rig.effect_ids()) == Counter(event.event_id for event in events)
    await receive(database, events)
    assert [await worker.work() for worker in workers] == [0, 0]


async def test_a_worker_that_is_killed_in_the_middle_of_a_batch_leaves_it_to_another_at_once(
    rig: Rig,
) -> None:
    """There is no lease to wait for: its transaction goes with it."""
    database = rig.database()
    events = [paid() for _ in range(10)]
    await receive(database, events)
    for killed_at in (0, 4, 9):
        begun = asyncio.Event()
        handled: list[InvoicePaid] = []
        router = EventRouter(SERVICE)

        @router.on(InvoicePaid)
        async def hang(
            event: InvoicePaid,
            uow: Uow,
            at: int = killed_at,
            seen: list[InvoicePaid] = handled,
            bell: asyncio.Event = begun,
        ) -> None:
            await add_effect(uow, event)
            await uow.publish(step(event.company_id, "killed"))
            if len(seen) == at:
                bell.set()
                await asyncio.Event().wait()
            seen.append(event)

        working = asyncio.create_task(Worker(router, database, rig.settings).work())
        async with asyncio.timeout(20):
            await begun.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert await rig.effect_ids() == []
    await work_until_done(Worker(counting_router(), database, rig.settings))
    assert await rig.effect_ids() == [event.event_id for event in events]
    assert await rig.world.rows(SERVICE, "select from inbox where status <> 'done' or attempts > 0") == []
    assert await rig.world.rows(SERVICE, "select from outbox") == []


async def test_a_connection_that_dies_in_the_middle_of_a_batch_costs_a_repetition(rig: Rig) -> None:
    database = rig.database()
    events = [paid() for _ in range(5)]
    await receive(database, events)
    killed: list[int] = []
    router = EventRouter(SERVICE)

    @router.on(InvoicePaid)
    async def note_payment(event: InvoicePaid, uow: Uow) -> None:
        await add_effect(uow, event)
        if len(killed) < 4:
            killed.append(await rig.kill_backends("xact_start is not null"))
        await add_effect(uow, event, "again")

    worker = Worker(router, database, rig.settings)

    async def turn() -> bool:
        try:
            await worker.work()
        except Exception:
            return False
        return not await rig.world.rows(SERVICE, "select from inbox where status <> 'done'")

    await until(turn, what="all of them worked")
    assert killed == [1] * 4
    assert Counter(await rig.effect_ids()) == Counter(2 * [event.event_id for event in events])
    assert await rig.world.rows(SERVICE, "select from inbox where attempts > 0") == []


def poisoned_router(tried: list[str]) -> EventRouter:
    """Payments numbered `poison` can never be worked."""
    router = EventRouter(SERVICE)

    @router.on(InvoicePaid)
    async def note_payment(event: InvoicePaid, uow: Uow) -> None:
        await add_effect(uow, event)
        tried.append(event.number or "")
        if event.number == "poison":
            raise PermanentFailure("poison")

    return router


async def test_a_batch_that_fails_is_worked_one_by_one_and_nothing_twice(rig: Rig) -> None:
    tried: list[str] = []
    events = [paid(number="poison" if n % 5 == 0 else str(n)) for n in range(20)]
    for event in events:
        await rig.world.tell(event)
    router = poisoned_router(tried)
    async with rig.world.running(rig.app(router, inbox_workers=1)):
        good = [event for event in events if event.number != "poison"]
        await rig.until_handled(good)
        for event in events[::5]:
            await rig.until_status(event, "dead")
    assert Counter(await rig.effect_ids()) == Counter(event.event_id for event in good)


async def test_facts_of_a_handler_that_failed_are_not_told(rig: Rig) -> None:
    router = EventRouter(SERVICE)
    failures: list[Exception] = [TemporaryFailure("once"), TemporaryFailure("twice")]

    @router.on(InvoicePaid)
    async def tell_step(event: InvoicePaid, uow: Uow) -> None:
        await uow.publish(step(event.company_id, f"try {len(failures)}"))
        if failures:
            raise failures.pop()
        await add_effect(uow, event)

    async with rig.world.running(rig.app(router)):
        await rig.world.tell(event := paid())
        await rig.until_handled([event])
        rows = await rig.world.rows(
            SERVICE, "select convert_from(data, 'utf8') as data, causation_id from outbox"
        )
    assert ["try 0" in row["data"] for row in rows] == [True]
    assert rows[0]["causation_id"] == event.event_id


async def test_a_clean_stop_finishes_the_handler_in_hand(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="relance.service")
    begun, may_end = asyncio.Event(), asyncio.Event()
    router = EventRouter(SERVICE)

    @router.on(InvoicePaid)
    async def work_slowly(event: InvoicePaid, uow: Uow) -> None:
        begun.set()
        await may_end.wait()
        await add_effect(uow, event)

    async def is_stopping() -> bool:
        return "stopping" in caplog.messages

    async def end_when_stopping() -> None:
        await until(is_stopping, what="the stop")
        may_end.set()

    async with rig.world.running(rig.app(router)):
        await rig.world.tell(event := paid())
        async with asyncio.timeout(20):
            await begun.wait()
        ending = asyncio.create_task(end_when_stopping())
    await ending
    assert await rig.effect_ids() == [event.event_id]
    assert (await rig.until_status(event, "done"))["attempts"] == 0


async def test_a_handler_that_does_not_end_is_undone_and_done_by_the_next_process(
    rig: Rig,
) -> None:
    begun = asyncio.Event()
    router = EventRouter(SERVICE)

    @router.on(InvoicePaid)
    async def hang(event: InvoicePaid, uow: Uow) -> None:
        await add_effect(uow, event)
        begun.set()
        await asyncio.Event().wait()

    async with rig.world.running(rig.app(router, shutdown_seconds=0.5)):
        await rig.world.tell(event := paid())
        await asyncio.wait_for(begun.wait(), timeout=20)
    assert await rig.effect_ids() == []
    async with rig.world.running(rig.app(counting_router())):
        await rig.until_handled([event])
    assert await rig.effect_ids() == [event.event_id]


async def test_database_connections_that_die_in_the_middle_cost_nothing(rig: Rig) -> None:
    router = EventRouter(SERVICE)

    @router.on(InvoicePaid)
    async def note_payment(event: InvoicePaid, uow: Uow) -> None:
        await add_effect(uow, event)
        await uow.publish(step(event.company_id, event.invoice_id))
        await uow.session.execute(text("select pg_sleep(0.005)"))  # to be caught in the middle

    companies = [uuid4() for _ in range(5)]
    events = [paid(company) for _ in range(40) for company in companies]
    killed = 0
    async with rig.world.running(rig.app(router, inbox_batch=5)):
        for n, event in enumerate(events):
            await rig.world.tell(event)
            if n % 33 == 20:
                killed += await rig.kill_backends()
        killed += await rig.kill_backends()
        await rig.until_handled(events, seconds=40)
        await rig.until_relayed()
    assert killed > 0
    done = await rig.effect_ids()
    assert Counter(done) == Counter(event.event_id for event in events)
    for company in companies:
        wanted = [event.event_id for event in events if event.company_id == company]
        assert [event_id for event_id in done if event_id in wanted] == wanted
    [row] = await rig.world.rows(
        SERVICE, "select count(*) as n from inbox where status <> 'done' or attempts > 0"
    )
    assert row["n"] == 0
