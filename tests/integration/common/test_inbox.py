"""One event, one unit of work, once; in order per key; what is poisonous holds up only its own key."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID, uuid4

from sqlalchemy import text

from libs.common import inbox
from libs.common.database import Uow
from libs.common.errors import PermanentFailure, TemporaryFailure
from libs.common.events.billing import InvoicePaid
from libs.common.events.operations import EventSetAside
from libs.common.router import EventRouter
from tests.integration.common.rig import SERVICE, Rig, add_effect, counting_router, paid
from tests.world import until


async def test_an_event_told_by_twenty_at_once_to_two_processes_acts_once(rig: Rig) -> None:
    events = [paid() for _ in range(10)]
    router = counting_router()
    async with rig.world.running(rig.app(router)), rig.world.running(rig.app(router)):
        await asyncio.gather(*(rig.world.tell(event) for event in events for _ in range(20)))
        # Whoever told again after it was worked finds it done.
        await asyncio.gather(*(rig.world.tell(event, copies=3) for event in events))
        last = [paid(event.company_id) for event in events]
        for event in last:
            await rig.world.tell(event)
        await rig.until_handled(last)
    assert Counter(await rig.effect_ids()) == Counter(e.event_id for e in events + last)
    assert await rig.world.rows(SERVICE, "select from inbox where status <> 'done'") == []


def assert_in_order(done: list[UUID], events: list[InvoicePaid]) -> None:
    """Each once, and those of a company as they were told."""
    assert Counter(done) == Counter(event.event_id for event in events)
    for company in {event.company_id for event in events}:
        wanted = [event.event_id for event in events if event.company_id == company]
        assert [event_id for event_id in done if event_id in wanted] == wanted


async def test_two_processes_on_one_inbox_act_once_and_in_order(rig: Rig) -> None:
    companies = [uuid4() for _ in range(7)]
    events = [paid(company) for _ in range(8) for company in companies]
    for event in events:
        await rig.world.tell(event)
    router = counting_router()
    apps = [rig.app(router, inbox_workers=3, inbox_batch=4) for _ in range(2)]
    async with rig.world.running(apps[0]), rig.world.running(apps[1]):
        await rig.until_handled(events)
    assert_in_order(await rig.effect_ids(), events)


async def test_the_order_of_a_key_holds_while_events_fail_now_and_then(rig: Rig) -> None:
    """Each fails once or twice, in all the ways there are, and its followers wait for it."""
    tries: Counter[UUID] = Counter()
    failures = [ValueError("now and then"), TemporaryFailure("away"), TimeoutError("late")]
    router = EventRouter(SERVICE)

    @router.on(InvoicePaid)
    async def note_payment(event: InvoicePaid, uow: Uow) -> None:
        await add_effect(uow, event)
        tries[event.event_id] += 1
        number = int(event.number or 0)
        if tries[event.event_id] <= number % 3:
            raise failures[number % len(failures)]

    companies = [uuid4() for _ in range(5)]
    events = [paid(company, number=str(n)) for n in range(8) for company in companies]
    for event in events:
        await rig.world.tell(event)
    quick = {"inbox_workers": 4, "inbox_batch": 3, "retry_longest_seconds": 0.1}
    async with rig.world.running(rig.app(router, **quick)), rig.world.running(rig.app(router, **quick)):
        await rig.until_handled(events, seconds=60)
    assert_in_order(await rig.effect_ids(), events)


def poisoned_router(failures: list[Exception], tried: list[str]) -> EventRouter:
    """Payments numbered `poison` raise the first failure of the list, and pop all but its last."""
    router = EventRouter(SERVICE)

    @router.on(InvoicePaid)
    async def note_payment(event: InvoicePaid, uow: Uow) -> None:
        await add_effect(uow, event)
        tried.append(event.number or "")
        if event.number == "poison" and failures:
            raise failures[0] if len(failures) == 1 else failures.pop(0)

    return router


async def test_a_poisonous_event_holds_up_its_own_key_is_tried_again_then_set_aside(rig: Rig) -> None:
    tried: list[str] = []
    poison = paid(number="poison")
    behind = [paid(poison.company_id) for _ in range(3)]
    others = [paid() for _ in range(20)]
    router = poisoned_router([ValueError("no\x00 such thing \udcff")], tried)
    async with rig.world.running(rig.app(router, retry_first_seconds=0.3)):
        for event in (poison, *behind, *others):
            await rig.world.tell(event)
        await rig.until_handled(others)
        row = await rig.inbox(poison)
        assert row is not None
        assert (
            not {event.event_id for event in behind} & set(await rig.effect_ids()) or row["status"] == "dead"
        )
        dead = await rig.until_status(poison, "dead")
        await rig.until_handled(behind)
        [told] = await rig.until_told_set_aside(poison.event_id)
        await rig.until_relayed()
        relayed = await rig.world.envelopes(SERVICE)
    assert dead["attempts"] == rig.settings.retry_attempts
    assert dead["cause"] == "ValueError: no\\x00 such thing \\udcff"
    assert (told.service, told.cause, told.attempts) == (SERVICE, dead["cause"], 4)
    assert told.set_aside_key == poison.key
    assert [EventSetAside.from_bytes(envelope.data) for envelope in relayed] == [told]
    assert relayed[0].causation_id == poison.event_id
    assert (await rig.effect_ids())[-3:] == [event.event_id for event in behind]
    assert poison.event_id not in await rig.effect_ids()


async def test_a_poisonous_event_that_is_alone_is_worked_once_a_try(rig: Rig) -> None:
    tried: list[str] = []
    poison = paid(number="poison")
    router = poisoned_router([ValueError("still")], tried)
    async with rig.world.running(rig.app(router, inbox_workers=1)):
        await rig.world.tell(poison)
        await rig.until_status(poison, "dead")
    assert len(tried) == rig.settings.retry_attempts


async def test_tries_are_apart(rig: Rig) -> None:
    poison = paid(number="poison")
    router = poisoned_router([ValueError("still")], [])
    async with rig.world.running(rig.app(router, retry_first_seconds=60, retry_longest_seconds=60)):
        await rig.world.tell(poison)

        async def is_postponed() -> list[dict[str, object]]:
            return await rig.world.rows(
                SERVICE,
                "select attempts, extract(epoch from due_at - now())::float8 as wait from inbox "
                "where event_id = $1 and attempts > 0",
                poison.event_id,
            )

        [row] = await until(is_postponed, what="the postponed row")
        assert row["attempts"] == 1
        assert 25 < float(str(row["wait"])) <= 60
        # Nobody takes it on before it is due.
        await rig.world.tell(other := paid())
        await rig.until_handled([other])
        after = await rig.inbox(poison)
        assert after is not None
        assert after["attempts"] == 1


async def test_what_can_never_work_is_set_aside_at_once(rig: Rig) -> None:
    tried: list[str] = []
    poison = paid(number="poison")
    router = poisoned_router([PermanentFailure("an invoice of another planet")], tried)
    async with rig.world.running(rig.app(router)):
        await rig.world.tell(poison)
        await rig.world.tell(behind := paid(poison.company_id))
        dead = await rig.until_status(poison, "dead")
        await rig.until_handled([behind])
    assert (dead["attempts"], dead["cause"]) == (1, "PermanentFailure: an invoice of another planet")


async def test_what_was_set_aside_is_worked_when_it_is_replayed(rig: Rig) -> None:
    failures: list[Exception] = [PermanentFailure("not yet")]
    poison = paid(number="poison")
    async with rig.world.running(rig.app(poisoned_router(failures, []))):
        await rig.world.tell(poison)
        await rig.until_status(poison, "dead")
        database = rig.database()
        await _replay(rig, poison)
        await until(lambda: _set_aside_times(rig, poison, 2), what="set aside again, told again")
        failures.clear()
        async with database.begin() as uow:
            assert await inbox.mark_pending_again(uow.session, uuid4()) == []
            assert await inbox.mark_pending_again(uow.session, None) == [poison.event_id]
        await rig.until_status(poison, "done")
    assert await rig.effect_ids() == [poison.event_id]


async def _replay(rig: Rig, event: InvoicePaid) -> None:
    async with rig.database().begin() as uow:
        assert await inbox.mark_pending_again(uow.session, event.event_id) == [event.event_id]


async def _set_aside_times(rig: Rig, event: InvoicePaid, times: int) -> bool:
    return len(await rig.until_told_set_aside(event.event_id)) == times


OUTAGES = [
    TemporaryFailure("the phone platform is away"),
    TemporaryFailure("slow down", retry_after_seconds=0.1),
    ConnectionResetError("gone"),
    TimeoutError("no answer"),
]


async def test_outages_are_waited_out_without_counting(rig: Rig) -> None:
    failures = [*(OUTAGES * 3), PermanentFailure("never reached")]
    poison = paid(number="poison")
    tried: list[str] = []
    router = EventRouter(SERVICE)

    @router.on(InvoicePaid)
    async def note_payment(event: InvoicePaid, uow: Uow) -> None:
        tried.append(event.event_id.hex)
        if len(failures) > 1:
            raise failures.pop(0)
        await add_effect(uow, event)

    async with rig.world.running(rig.app(router, retry_attempts=2)):
        await rig.world.tell(poison)
        row = await rig.until_status(poison, "done")
    assert row["attempts"] == 0
    assert len(tried) > len(OUTAGES) * 3


async def test_a_value_that_the_database_cannot_hold_is_no_outage(rig: Rig) -> None:
    """asyncpg and SQLAlchemy both call it an InterfaceError, as they call a lost connection."""
    router = EventRouter(SERVICE)

    @router.on(InvoicePaid)
    async def note_payment(event: InvoicePaid, uow: Uow) -> None:
        await add_effect(uow, event, note=7 if event.number == "poison" else "")  # type: ignore[arg-type]

    poison = paid(number="poison")
    async with rig.world.running(rig.app(router)):
        await rig.world.tell(poison)
        await rig.world.tell(behind := paid(poison.company_id))
        dead = await rig.until_status(poison, "dead")
        await rig.until_handled([behind])
    assert dead["attempts"] == 4


_ADD_PENDING = """
    insert into inbox (event_id, type, source, key, topic, partition, "offset", data, occurred_at, status,
                       due_at)
    select gen_random_uuid(), 'x.y.v1', '/x', $1 || n % $2, 'x.events', 0, n, '{}', now(), $3,
           now() + make_interval(secs => $4)
    from generate_series(1, $5) n
"""


async def add_pending(rig: Rig, key: str, *, count: int, keys: int = 1, due_in: int = 0) -> None:
    await rig.world.rows(SERVICE, _ADD_PENDING, key, keys, "pending", due_in, count)


async def test_whoever_stands_behind_a_long_queue_that_waits_is_claimed(rig: Rig) -> None:
    """The oldest of one company is postponed, thousands of its own wait behind it, then come the others."""
    await add_pending(rig, "waits", count=1, due_in=3600)
    await add_pending(rig, "waits", count=3000)
    await add_pending(rig, "other", count=30, keys=10)
    async with rig.database().begin() as uow, rig.database().begin() as at_the_same_time:
        first = await inbox.claim_batch(uow.session, limit=4)
        second = await inbox.claim_batch(at_the_same_time.session, limit=50)
    assert [len(first), len(second)] == [4, 6]
    assert len({waiting.envelope.key for waiting in [*first, *second]}) == 10


async def test_a_claim_costs_the_same_whatever_waits(rig: Rig) -> None:
    """Also where the planner believes that nothing does: it last looked when all was done."""

    async def pages_looked_at() -> int:
        async with rig.database().begin() as uow:
            statement = text(f"explain (analyze, buffers, format json) {inbox._CLAIM.text}")
            [plan] = (await uow.session.execute(statement, {"limit": 50, "window": 400})).scalar_one()
            assert plan["Plan"]["Actual Rows"] == 50
            return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])

    await rig.world.rows(SERVICE, _ADD_PENDING, "done", 100, "done", 0, 20_000)
    await rig.world.rows(SERVICE, "vacuum analyze inbox")
    await add_pending(rig, "some", count=1000, keys=500)
    few = await pages_looked_at()
    await add_pending(rig, "many", count=20_000, keys=5000)
    assert await pages_looked_at() < 2 * few
