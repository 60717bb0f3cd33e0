"""Facts are told if and only if their transaction committed, in order per key, whoever relays them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from libs.common.database import Database
from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure, TemporaryFailure
from libs.common.events import CompanyEvent, Event
from libs.common.events.operations import EventSetAside
from libs.common.events.scheduler import SignupStepDue
from libs.common.outbox import LARGEST_EVENT_BYTES
from libs.common.producer import Addressed, Producer
from libs.common.relay import relay_facts
from libs.common.router import EventRouter
from libs.common.telemetry import trace_id
from tests.integration.common.rig import SERVICE, Rig, add_effect, paid, step
from tests.world import until


async def tell(database: Database, *facts: Event, failure: Exception | None = None) -> None:
    """In one transaction, which fails once all is stored if a failure is given."""
    async with database.begin() as uow:
        for fact in facts:
            await uow.publish(fact)
        await uow.flush()
        if failure is not None:
            raise failure


async def test_what_is_rolled_back_was_never_told(rig: Rig) -> None:
    database = rig.database()
    with pytest.raises(KeyError):
        await tell(database, step(), failure=KeyError("late"))
    async with rig.world.running(rig.app()):
        async with database.begin() as uow:
            await uow.publish(told := step())
        await until(lambda: rig.world.told(SignupStepDue), what="the fact")
    assert await rig.world.told(SignupStepDue) == [told]


async def test_a_fact_told_twice_is_one_fact(rig: Rig) -> None:
    database = rig.database()
    fact = step()
    for _ in range(2):
        async with database.begin() as uow:
            await uow.publish(fact)
            await uow.publish(fact)
    assert len(await rig.world.rows(SERVICE, "select from outbox")) == 1


@pytest.mark.parametrize(
    ("fact", "why"),
    [
        (paid(), "scheduler may not tell billing.invoice_paid.v1: billing does"),
        (step(email="x" * LARGEST_EVENT_BYTES), "too large for Kafka"),
    ],
)
async def test_what_may_not_be_told_fails_where_it_is_told(rig: Rig, fact: CompanyEvent, why: str) -> None:
    with pytest.raises(PermanentFailure, match=why):
        await tell(rig.database(), step(), fact)
    assert await rig.world.rows(SERVICE, "select from outbox") == []


async def test_the_largest_fact_that_may_be_told_is_relayed(rig: Rig) -> None:
    small = len(step().to_bytes())
    async with rig.database().begin() as uow:
        await uow.publish(fact := step(email="x" * (LARGEST_EVENT_BYTES - small)))
    async with rig.world.running(rig.app()):
        await rig.until_relayed()
    assert await rig.world.told(SignupStepDue) == [fact]


async def tell_some(database: Database, companies: Sequence[UUID], times: int) -> None:
    """Transactions that each tell two facts of each company, in another order every time."""
    for n in range(times):
        async with database.begin() as uow:
            if n % 3 == 0:
                await uow.lock(min(str(company) for company in companies))
            for company in [*companies[n % len(companies) :], *companies[: n % len(companies)]]:
                await uow.publish(step(company))
                await uow.publish(step(company))


def assert_in_order(envelopes: Sequence[Envelope], *, facts_per_key: int) -> None:
    """Each key's revisions rise; what is repeated was told before."""
    seen: dict[str, list[int]] = defaultdict(list)
    for envelope in envelopes:
        assert envelope.revision is not None
        told = seen[envelope.key]
        if envelope.revision not in told:
            assert not told or envelope.revision > max(told)
            told.append(envelope.revision)
    for told in seen.values():
        assert told == list(range(1, facts_per_key + 1))


async def test_concurrent_transactions_and_two_relays_keep_the_order_of_each_key(rig: Rig) -> None:
    database = rig.database()
    companies = [uuid4() for _ in range(4)]
    async with rig.world.running(rig.app()), rig.world.running(rig.app()):
        await asyncio.gather(*(tell_some(database, companies, 10) for _ in range(4)))
        await rig.until_relayed()
    envelopes = await rig.world.envelopes(SERVICE)
    assert len(envelopes) == 4 * 4 * 10 * 2
    assert_in_order(envelopes, facts_per_key=80)


async def test_relays_that_run_at_the_same_moment_take_turns(rig: Rig) -> None:
    database, producer = rig.database(), Producer(rig.settings, client_id="test")
    companies = [uuid4() for _ in range(3)]
    await tell_some(database, companies, 20)
    await producer.start()
    try:
        relayed = await asyncio.gather(*(relay_facts(database, producer) for _ in range(5)))
    finally:
        await producer.stop()
    assert sum(relayed) == 120
    assert_in_order(await rig.world.envelopes(SERVICE), facts_per_key=40)


class DyingProducer(Producer):
    """Appends, and then its process is gone: nobody notes that it told."""

    async def append_all(self, facts: Sequence[Addressed]) -> None:
        await super().append_all(facts)
        raise SystemExit("killed between the append and the commit")


class HalfProducer(Producer):
    """Appends the first half and loses the connection."""

    async def append_all(self, facts: Sequence[Addressed]) -> None:
        await super().append_all(facts[: len(facts) // 2])
        raise TemporaryFailure("gone")


@pytest.mark.parametrize("kind", [DyingProducer, HalfProducer])
async def test_a_relay_that_dies_before_its_commit_tells_again_under_the_same_ids(
    rig: Rig, kind: type[Producer]
) -> None:
    heard = EventRouter(SERVICE)

    @heard.on(SignupStepDue)
    async def note_step(event: SignupStepDue, uow: object) -> None:
        await add_effect(uow, event)  # type: ignore[arg-type]

    database, producer = rig.database(), kind(rig.settings, client_id="test")
    await tell_some(database, [uuid4(), uuid4()], 5)
    await producer.start()
    try:
        for _ in range(2):
            with pytest.raises((SystemExit, TemporaryFailure)):
                await relay_facts(database, producer)
    finally:
        await producer.stop()
    async with rig.world.running(rig.app(heard)):
        await rig.until_relayed()

        async def look() -> bool:
            return len(await rig.effect_ids()) >= 20

        await until(look, what="every effect")
    envelopes = await rig.world.envelopes(SERVICE)
    assert len(envelopes) > 20
    assert len({envelope.event_id for envelope in envelopes}) == 20
    assert_in_order(envelopes, facts_per_key=10)
    done = await rig.effect_ids()
    assert len(done) == len(set(done)) == 20


async def test_the_trace_and_the_cause_go_on(rig: Rig) -> None:
    router = EventRouter(SERVICE)
    event = paid()

    @router.on(type(event))
    async def tell_step(event: CompanyEvent, uow: object) -> None:
        await uow.publish(step(event.company_id))  # type: ignore[attr-defined]

    async with rig.world.running(rig.app(router)):
        told = await rig.world.tell(event)
        await until(lambda: rig.world.envelopes(SERVICE), what="the fact")
    [envelope] = await rig.world.envelopes(SERVICE)
    assert envelope.causation_id == event.event_id
    assert trace_id(envelope.traceparent) == trace_id(told.traceparent)
    assert envelope.traceparent != told.traceparent


async def test_a_key_that_no_index_holds_fails_where_it_is_told(rig: Rig) -> None:
    fact = EventSetAside(
        service=SERVICE,
        set_aside_event_id=uuid4(),
        set_aside_type="x",
        set_aside_key="k" * 1001,
        cause="",
        attempts=1,
        set_aside_at=rig.database().clock(),
    )
    with pytest.raises(PermanentFailure, match="a key is an id"):
        await tell(rig.database(), fact)
