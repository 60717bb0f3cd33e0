"""The storm: hundreds of customers whose cards all decline, every webhook five times, shuffled, late, lost at
first; and the same with a process killed -9 in the middle. The numbers must not change.

`RELANCE_STORM_CUSTOMERS` sets the customers of the plain storm and `RELANCE_STORM_KILL_CUSTOMERS` those of
each kill; `make storm` runs 200 of both.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from libs.common.events.billing import InvoiceUnpaid
from libs.devstack.stripe_simulator.control import RenewalMade
from tests.fakes.stack import Stack, at_rest, running_stack
from tests.world import until

CUSTOMERS = int(os.environ.get("RELANCE_STORM_CUSTOMERS", "200"))
KILL_CUSTOMERS = int(os.environ.get("RELANCE_STORM_KILL_CUSTOMERS", "40"))
CARDS = ["decline", "decline_insufficient_funds", "decline_do_not_honor"]
MAKERS = 8

pytestmark = [pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="relance-storm-"))
    folder.chmod(0o755)
    async with running_stack(folder / "data") as running:
        yield running
    shutil.rmtree(folder)


@dataclass
class Storm:
    """Who was in it."""

    tag: str
    made: dict[str, RenewalMade]

    @property
    def invoices(self) -> set[str]:
        return {renewal.invoice for renewal in self.made.values()}


async def raise_storm(stack: Stack, customers: int) -> Storm:
    """Renewals that fail on three cards, made by several at once, each webhook in five copies."""
    await stack.stripe.chaos(copies=5, shuffle=True, max_delay_seconds=2.0)
    await stack.stripe.chaos(
        event_type="invoice.payment_failed", copies=5, shuffle=True, max_delay_seconds=2.0, lose_first=1
    )
    storm = Storm(uuid4().hex[:8], {})
    numbers = iter(range(customers))

    async def make() -> None:
        for number in numbers:
            email = f"c{number}@{storm.tag}.example"
            storm.made[email] = await stack.stripe.renewal_fails(
                name=f"Client {number}", email=email, cards=CARDS, metadata={"company_id": str(uuid4())}
            )

    await asyncio.gather(*(make() for _ in range(MAKERS)))
    return storm


async def assert_each_once(stack: Stack, storm: Storm) -> dict[str, int]:
    """As many facts and mails as customers, one try a method; answers with the figures."""
    tellings = [InvoiceUnpaid.from_bytes(e.data) for e in
                await stack.told("billing.events", InvoiceUnpaid.type)]  # fmt: skip
    told = {t.event_id: t for t in tellings if t.invoice_id in storm.invoices}
    assert Counter(t.invoice_id for t in told.values()) == Counter(dict.fromkeys(storm.invoices, 1))

    tries = Counter(
        (p.invoice, p.payment_method) for p in await stack.stripe.payments() if p.invoice in storm.invoices
    )
    wanted = {(r.invoice, method) for r in storm.made.values() for method in r.payment_methods}
    assert tries == Counter(dict.fromkeys(wanted, 1))

    deliveries = await stack.rows(
        "select recipient, status from notifications.deliveries where recipient like $1 and kind = 'unpaid'",
        f"%@{storm.tag}.example",
    )
    statuses = {d["recipient"]: d["status"] for d in deliveries}
    assert len(deliveries) == len(statuses) == len(storm.made)
    assert set(statuses.values()) <= {"accepted", "unknown"}
    mails: Counter[str] = Counter()
    for (recipient, kind, _), count in (await stack.mails.counts()).items():
        if recipient in storm.made and kind == "unpaid":
            mails[recipient] += count
    for recipient, status in statuses.items():
        allowed = {1} if status == "accepted" else {0, 1}
        assert mails[recipient] in allowed, (recipient, status, mails[recipient])
    return {
        "customers": len(storm.made),
        "facts": len(told),
        "tries": sum(tries.values()),
        "mails": sum(mails.values()),
        "unknown": sum(status == "unknown" for status in statuses.values()),
    }


async def test_the_storm_makes_one_fact_and_one_mail_a_customer(stack: Stack) -> None:
    storm = await raise_storm(stack, CUSTOMERS)
    await at_rest(stack)
    figures = await assert_each_once(stack, storm)
    print(figures)
    assert figures["unknown"] == 0


@pytest.mark.parametrize("victim", ["billing", "notifications", "kafka", "postgres"])
async def test_the_same_with_a_kill_in_the_middle(stack: Stack, victim: str) -> None:
    raising = asyncio.create_task(raise_storm(stack, KILL_CUSTOMERS))
    before = len(await stack.rows("select 1 from notifications.deliveries"))

    async def is_in_the_middle() -> bool:
        return len(await stack.rows("select 1 from notifications.deliveries")) > before + KILL_CUSTOMERS // 4

    await until(is_in_the_middle, seconds=120, what="the middle of the storm")
    killed = stack.kill(victim)
    storm = await raising

    async def is_back() -> bool:
        return stack.pid_of(victim) != killed

    await until(is_back, seconds=60, what=f"{victim} started again")
    await at_rest(stack)
    print(victim, await assert_each_once(stack, storm))
