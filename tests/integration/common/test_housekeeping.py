"""What is past its keeping time is deleted, in batches; what is still needed stays, whatever its age."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from libs.common.housekeeping import Housekeeping, frame_keepings
from tests.fakes.service_process import service_process
from tests.integration.common.rig import SERVICE, Rig, counting_router, paid
from tests.world import until

KEPT = {"inbox_kept_days": 60, "outbox_kept_days": 400}

_ADD_INBOX = """
    insert into inbox (event_id, type, source, key, topic, partition, "offset", data, occurred_at, status,
                       received_at, done_at, due_at)
    select gen_random_uuid(), 'x.y.v1', '/x', 'old' || n, 'x.events', 0, n, '{}', now(), $1,
           now() - make_interval(days => $2), now() - make_interval(days => $2), now() + interval '1 day'
    from generate_series(1, $3) n
"""
_ADD_OUTBOX = """
    insert into outbox (event_id, topic, type, key, revision, data, occurred_at, traceparent, told_at)
    select gen_random_uuid(), 'scheduler.events', 'x.y.v1', 'old' || n, n, '{}', now(), 'none',
           case when $1 then now() - make_interval(days => $2) end
    from generate_series(1, $3) n
"""


async def add_inbox(rig: Rig, status: str, *, days: int, count: int) -> None:
    await rig.world.rows(SERVICE, _ADD_INBOX, status, days, count)


async def add_outbox(rig: Rig, *, is_told: bool, days: int, count: int) -> None:
    await rig.world.rows(SERVICE, _ADD_OUTBOX, is_told, days, count)


async def one_round(housekeeping: Housekeeping) -> int:
    """Answers how many batches it took."""
    batches = 1
    while await housekeeping.tidy():
        batches += 1
    return batches


def housekeeping_of(rig: Rig, *, batch: int) -> Housekeeping:
    return Housekeeping(rig.database(), frame_keepings(rig.settings.model_copy(update=KEPT)), batch=batch)


async def inbox_left(rig: Rig) -> dict[tuple[str, int], int]:
    """By status and age in days."""
    rows = await rig.world.rows(
        SERVICE,
        """select status, extract(day from now() - received_at)::int as days, count(*) as n
        from inbox group by 1, 2""",
    )
    return {(row["status"], row["days"]): row["n"] for row in rows}


async def test_worked_events_go_and_what_is_unworked_or_set_aside_stays(rig: Rig) -> None:
    await add_inbox(rig, "dead", days=300, count=25)  # more than a batch, and the oldest
    await add_inbox(rig, "done", days=61, count=230)
    await add_inbox(rig, "pending", days=61, count=3)
    await add_inbox(rig, "done", days=61, count=7)
    await add_inbox(rig, "done", days=59, count=40)
    batches = await one_round(housekeeping_of(rig, batch=20))
    assert batches > 10, "one transaction deletes no more than a batch"
    assert await inbox_left(rig) == {("dead", 300): 25, ("pending", 61): 3, ("done", 59): 40}


async def test_what_was_told_goes_and_what_is_not_told_yet_stays(rig: Rig) -> None:
    await add_outbox(rig, is_told=True, days=401, count=50)
    await add_outbox(rig, is_told=False, days=0, count=2)
    await add_outbox(rig, is_told=True, days=399, count=5)
    await one_round(housekeeping_of(rig, batch=10))
    rows = await rig.world.rows(SERVICE, "select told_at is null as is_untold from outbox")
    assert Counter(row["is_untold"] for row in rows) == {True: 2, False: 5}


async def test_a_round_that_finds_nothing_old_looks_at_one_batch(rig: Rig) -> None:
    """However large the table is."""
    await add_inbox(rig, "done", days=1, count=5000)
    assert await one_round(housekeeping_of(rig, batch=10)) == len(frame_keepings(rig.settings))


async def test_several_at_once_delete_everything_once_and_wait_for_nobody(rig: Rig) -> None:
    await add_inbox(rig, "done", days=61, count=3000)
    await add_inbox(rig, "done", days=1, count=10)
    await asyncio.gather(*(one_round(housekeeping_of(rig, batch=50)) for _ in range(4)))
    await one_round(housekeeping_of(rig, batch=50))  # what one of them held, another passed over
    assert await inbox_left(rig) == {("done", 1): 10}


async def test_events_are_worked_once_while_old_ones_go(rig: Rig) -> None:
    await add_inbox(rig, "done", days=61, count=3000)
    events = [paid() for _ in range(300)]
    quick = {**KEPT, "housekeeping_seconds": 0.05, "housekeeping_batch": 20}
    router = counting_router()
    async with rig.world.running(rig.app(router, **quick)), rig.world.running(rig.app(router, **quick)):
        for some in range(0, 300, 50):
            await rig.world.tell_all(events[some : some + 50] * 2)
        await rig.until_handled(events, seconds=40)

        async def look() -> bool:
            return set(await inbox_left(rig)) == {("done", 0)}

        await until(look, seconds=40, what="the old rows gone")
        await rig.world.tell_all(events)  # still known
        last = paid()
        await rig.world.tell(last)
        await rig.until_handled([last])
    assert Counter(await rig.effect_ids()) == Counter(event.event_id for event in [*events, last])


async def test_killed_half_way_the_next_process_goes_on(rig: Rig, tmp_path: Path) -> None:
    await add_inbox(rig, "dead", days=61, count=4)
    await add_inbox(rig, "done", days=61, count=20_000)
    await add_inbox(rig, "done", days=1, count=9)

    async def left() -> int:
        [row] = await rig.world.rows(SERVICE, "select count(*) as n from inbox")
        return int(row["n"])

    async def is_begun() -> bool:
        return await left() < 20_013

    async with service_process(rig.world, SERVICE, tmp_path, **KEPT, housekeeping_batch=20) as running:
        await until(is_begun, seconds=40, what="the first batch")
        running.process.kill()
        await running.exit_code()
    assert 13 < await left() < 20_013, "it was killed half-way"

    async def is_done() -> bool:
        return await left() == 13

    async with service_process(rig.world, SERVICE, tmp_path, **KEPT, housekeeping_batch=2000):
        await until(is_done, seconds=60, what="the rest")
    assert await inbox_left(rig) == {("dead", 61): 4, ("done", 1): 9}
