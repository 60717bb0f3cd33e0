"""Reminders and deadlines of unpaid invoices: told once, on working mornings, never on old knowledge."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from libs.common.errors import TemporaryFailure
from libs.common.events.billing import InvoiceClosed, InvoiceUnpaid, OpenInvoice
from libs.common.events.directory import StripeCustomerLinked
from libs.common.events.scheduler import CutoffDue, UnpaidReminderDue
from libs.common.router import Heard
from services.scheduler import handlers, queries
from services.scheduler.app import create_app
from services.scheduler.domain import CHECK_UNPAID, PARIS
from tests.integration.scheduler.builders import (
    NOW,
    HandClock,
    drain,
    heard,
    make_engine,
    scheduler_database,
    scheduler_settings,
)
from tests.world import World, until

DEADLINE = NOW + timedelta(days=14)


def unpaid(
    company_id: UUID, invoice_id: str = "in_1", *, attempt_count: int = 1, deadline_at: datetime = DEADLINE
) -> InvoiceUnpaid:
    invoice = OpenInvoice(
        invoice_id=invoice_id, amount_remaining_cents=2990, currency="eur", billing_cycle="c", issued_at=NOW
    )
    return InvoiceUnpaid(
        company_id=company_id,
        invoice_id=invoice_id,
        attempt_count=attempt_count,
        billing_cycle="c",
        attempts=(),
        open_invoices=(invoice,),
        unpaid_count=1,
        total_due_cents=2990,
        currency="eur",
        deadline_at=deadline_at,
        invoice_deadline_at=deadline_at,
        stage=1,
        customer_name="Éts Ménard",
        customer_email="compta@exemple.fr",
    )


def closed(company_id: UUID, invoice_id: str = "in_1") -> InvoiceClosed:
    return InvoiceClosed(company_id=company_id, invoice_id=invoice_id, reason="paid", closed_at=NOW)


def morning(day: str) -> datetime:
    return datetime.fromisoformat(f"{day} 09:00").replace(tzinfo=PARIS)


async def fold(world: World, facts: Sequence[Heard[Any]]) -> None:
    """What was heard, as the consumer folds it."""
    async with scheduler_database(world) as database, database.begin() as uow:
        for kind in (InvoiceUnpaid, InvoiceClosed, StripeCustomerLinked):
            alike = [fact for fact in facts if isinstance(fact.event, kind)]
            if alike:
                await handlers.router.folds[kind.type](alike, uow.session)


async def told_at(world: World, moment: datetime, *, instances: int = 1) -> None:
    """Until schedulers that wake at this moment have told all that is due, and are stopped."""
    clocks = HandClock(moment)
    settings = scheduler_settings(world)
    async with scheduler_database(world) as database:
        database.clock = clocks
        engines = [make_engine(database, settings) for _ in range(instances)]
        await asyncio.gather(*(drain(engine) for engine in engines))
    async with world.running(create_app(settings, clock=clocks)):

        async def all_told() -> bool:
            return not await world.rows("scheduler", "select from outbox where told_at is null")

        await until(all_told, what="all told")


async def reminders(world: World) -> list[tuple[str, int]]:
    return [(r.anchor_invoice_id, r.stage) for r in await world.told(UnpaidReminderDue)]


async def cutoffs(world: World) -> list[date]:
    return [c.due_on for c in await world.told(CutoffDue)]


async def test_reminders_come_on_the_working_mornings_after_three_and_seven_days(world: World) -> None:
    company_id = uuid4()
    await fold(world, [heard(unpaid(company_id))])  # a Monday at eleven
    await told_at(world, morning("2026-11-26"))
    assert await reminders(world) == []
    await told_at(world, morning("2026-11-27"))
    [reminder] = await world.told(UnpaidReminderDue)
    assert reminder == UnpaidReminderDue(
        company_id=company_id,
        anchor_invoice_id="in_1",
        stage=2,
        due_at=NOW + timedelta(days=3),
        deadline_at=DEADLINE,
        currency="eur",
        customer_name="Éts Ménard",
        customer_email="compta@exemple.fr",
    )
    await told_at(world, morning("2026-11-30"))
    await told_at(world, morning("2026-12-01"), instances=3)
    assert await reminders(world) == [("in_1", 2), ("in_1", 3)]
    assert await cutoffs(world) == []


async def test_a_passed_deadline_is_told_each_working_morning_until_it_is_paid(world: World) -> None:
    company_id = uuid4()
    fact = heard(unpaid(company_id, deadline_at=NOW))
    await fold(world, [fact])
    for day in ("2026-11-24", "2026-11-24", "2026-11-27", "2026-11-29", "2026-11-30"):
        await told_at(world, morning(day), instances=2)
    days = [date(2026, 11, 24), date(2026, 11, 27), date(2026, 11, 30)]
    assert await cutoffs(world) == days
    envelopes = [e for e in await world.envelopes("scheduler") if e.type == CutoffDue.type]
    assert {e.causation_id for e in envelopes} == {fact.envelope.event_id}
    await fold(world, [heard(closed(company_id))])
    await told_at(world, morning("2026-12-01"))
    assert await cutoffs(world) == days


async def test_the_earliest_paid_moves_the_anchor_and_the_deadline(world: World) -> None:
    company_id = uuid4()
    later = NOW + timedelta(days=2)
    await fold(
        world,
        [
            heard(unpaid(company_id, "in_1", deadline_at=NOW)),
            heard(unpaid(company_id, "in_2", deadline_at=later), at=later),
        ],
    )
    await told_at(world, morning("2026-11-24"))
    assert await cutoffs(world) == [date(2026, 11, 24)]
    await fold(world, [heard(closed(company_id, "in_1"))])
    await told_at(world, morning("2026-11-25"))
    assert len(await cutoffs(world)) == 1
    await told_at(world, morning("2026-11-30"))
    assert await cutoffs(world) == [date(2026, 11, 24), date(2026, 11, 30)]
    assert await reminders(world) == [("in_2", 2)]


async def test_a_clock_that_was_off_tells_the_last_notice_and_skips_what_it_replaces(world: World) -> None:
    company_id = uuid4()
    await fold(world, [heard(unpaid(company_id))])
    await told_at(world, morning("2026-12-10"))
    assert await reminders(world) == [("in_1", 3)]
    assert await cutoffs(world) == [date(2026, 12, 10)]
    rows = await world.rows("scheduler", "select step, status, why from occurrences order by step")
    assert [tuple(row.values()) for row in rows] == [
        ("cutoff:2026-12-10", "told", None),
        ("reminder_2:in_1", "skipped", "too_late"),
        ("reminder_3:in_1", "told", None),
    ]


async def test_a_linked_company_is_told_of_its_deadline_too(world: World) -> None:
    provisional, company_id = uuid4(), uuid4()
    link = StripeCustomerLinked(
        company_id=company_id, stripe_customer_id="cus_1", provisional_company_id=provisional
    )
    await fold(world, [heard(unpaid(provisional, deadline_at=NOW)), heard(link)])
    await told_at(world, morning("2026-11-24"))
    assert {c.company_id for c in await world.told(CutoffDue)} == {provisional, company_id}


async def test_what_nobody_read_yet_holds_everything_back(world: World) -> None:
    company_id = uuid4()
    await fold(world, [heard(unpaid(company_id, deadline_at=NOW))])
    await world.tell(closed(company_id))
    settings = scheduler_settings(world)
    async with scheduler_database(world) as database:
        database.clock = HandClock(morning("2026-11-24"))
        engine = make_engine(database, settings)
        with pytest.raises(TemporaryFailure, match="not read yet"):
            await engine.tick()
        assert await world.rows("scheduler", "select * from occurrences") == []
        async with world.running(create_app(settings, clock=HandClock(morning("2026-11-24")))):

            async def is_closed() -> bool:
                rows = await world.rows("scheduler", "select closed_at from unpaid_invoices")
                return rows[0]["closed_at"] is not None

            await until(is_closed, what="the payment")
        await drain(engine)
    assert await world.rows("scheduler", "select * from occurrences") == []


async def test_any_order_and_any_repetition_of_what_is_heard_give_the_same_copy(world: World) -> None:
    one, two = uuid4(), uuid4()
    facts: list[Heard[Any]] = [
        heard(unpaid(one, "in_1"), at=NOW),
        heard(unpaid(one, "in_1", attempt_count=2, deadline_at=NOW), at=NOW + timedelta(days=3)),
        heard(unpaid(two, "in_1", attempt_count=3), at=NOW + timedelta(days=5)),
        heard(unpaid(one, "in_2"), at=NOW + timedelta(hours=1)),
        heard(closed(one, "in_2")),
        heard(closed(two, "in_3")),
    ]
    expected: list[dict[str, Any]] = []
    for seed in range(12):
        rng = random.Random(seed)
        waiting = [*facts, *rng.choices(facts, k=4)]
        rng.shuffle(waiting)
        await world.rows("scheduler", "truncate unpaid_invoices")
        while waiting:
            size = rng.randint(1, 4)
            await fold(world, waiting[:size])
            waiting = waiting[size:]
        rows = await world.rows("scheduler", "select * from unpaid_invoices order by invoice_id")
        expected = expected or rows
        assert rows == expected, f"seed {seed}"
    assert [(row["company_id"], row["unpaid_at"]) for row in expected[:1]] == [(two, NOW)]
    assert [row["closed_at"] is not None for row in expected] == [False, True, True]


@pytest.mark.parametrize("statement", ["_ADD_REMINDERS", "_ADD_CUTOFFS"])
async def test_what_is_due_is_read_by_index_among_thousands(world: World, statement: str) -> None:
    await world.rows(
        "scheduler",
        """insert into unpaid_invoices (invoice_id, company_id, unpaid_at, deadline_at, currency,
                                        customer_name, closed_at)
           select n, gen_random_uuid(), $1::timestamptz, $1::timestamptz, 'eur', 'n',
                  case when n > 20 then $1::timestamptz end
           from generate_series(1, 30000) n""",
        NOW,
    )
    await world.rows("scheduler", "analyze unpaid_invoices")
    values = {
        "routine": CHECK_UNPAID, "prefix": "reminder_2:", "newest_due": NOW, "newest_expired": NOW,
        "due_after": timedelta(days=3), "expires_after": timedelta(days=7), "now": NOW, "limit": 1000,
        "step": "cutoff:x", "morning": NOW, "expires_at": NOW,
    }  # fmt: skip
    query = getattr(queries.unpaid, statement)
    wanted = {name: value for name, value in values.items() if f":{name}" in query.text}
    async with scheduler_database(world) as database, database.begin() as uow:
        plan = "\n".join(
            str(row[0]) for row in await uow.session.execute(text("explain " + query.text), wanted)
        )
    assert "unpaid_invoices_open" in plan
    assert "Seq Scan on unpaid_invoices" not in plan
