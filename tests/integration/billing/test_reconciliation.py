"""What no webhook told is taken in all the same, and acts once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from libs.common.database import Database
from libs.common.events.billing import InvoicePaid, InvoiceUnpaid, PaymentRecovered
from libs.common.events.scheduler import StripeReconciliationDue
from libs.common.events.stripe import StripeEventReceived
from libs.common.producer import Producer
from libs.common.service import Door
from libs.integrations.stripe import Stripe
from libs.integrations.stripe.events import EVENT_TYPES
from services.billing.reconciliation import Reconciliation
from services.billing.records import BY_RECONCILIATION
from tests.integration.billing.conftest import INTERNAL_KEY, Billing, Clock, running_billing
from tests.world import World, until

DECLINING = ["decline", "decline_insufficient_funds", "decline_expired_card"]


async def figures(billing: Billing) -> dict[str, Any]:
    answer = await billing.http.get("/internal/reconciliation", headers={"X-Api-Key": INTERNAL_KEY})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ask_for_walk(billing: Billing) -> None:
    await billing.world.tell(StripeReconciliationDue(due_at=billing.clock()))


async def reconcile(billing: Billing, *, seconds: float = 40) -> dict[str, Any]:
    """A walk from its wish to its end, and all that it brought worked."""
    before = (await figures(billing))["last_walk_ended_at"]
    await ask_for_walk(billing)

    async def look() -> dict[str, Any] | None:
        found = await figures(billing)
        is_over = found["last_walk_ended_at"] != before and found["outcome"] == "done"
        return found if is_over and found["outstanding"] == 0 else None

    await until(look, seconds=seconds, what="the walk's end")
    await worked(billing, seconds=seconds)
    return await figures(billing)


async def ours_at_stripe(billing: Billing) -> int:
    """How many events of the types that we ask for Stripe has."""
    events = (await billing.stripe.state()).events
    return sum(count for event_type, count in events.items() if event_type in EVENT_TYPES)


async def worked(billing: Billing, *, seconds: float = 40) -> None:
    """Until every event of a type of ours was worked, and everything that it caused."""

    async def look() -> bool:
        wanted = await ours_at_stripe(billing)
        [row] = await billing.world.rows(
            "billing",
            """select (select count(*) from stripe_events where type = any($1)) as worked,
                      (select count(*) from inbox where status = 'pending')
                    + (select count(*) from dunning_cases where state = 'attempting')
                    + (select count(*) from outbox where told_at is null) as pending""",
            list(EVENT_TYPES),
        )
        return bool(row["worked"] == wanted and row["pending"] == 0)

    await until(look, seconds=seconds, what="everything worked")


async def appended(billing: Billing) -> Counter[str]:
    """How often each event was appended to `stripe.events` by the reconciliation."""
    envelopes = await billing.world.envelopes("stripe")
    return Counter(
        StripeEventReceived.from_bytes(e.data).stripe_event_id
        for e in envelopes
        if e.source == BY_RECONCILIATION
    )


async def test_an_outage_of_two_days_is_recovered_and_nothing_acts_twice(billing: Billing) -> None:
    heard = await billing.stripe.renewal_fails(name="Avant", email="a@example.fr", cards=["decline"])
    await billing.at_rest()
    assert (await reconcile(billing))["missing"] == 0

    await billing.stripe.chaos(lose_all=True)
    known = await ours_at_stripe(billing)
    unpaid, recovered = set[str](), set[str]()
    for number in range(8):
        await billing.time_passes(timedelta(hours=6))
        email = f"c{number}@example.fr"
        made = await billing.stripe.renewal_fails(name=f"C{number}", email=email, cards=DECLINING)
        unpaid.add(made.invoice)
        made = await billing.stripe.renewal_fails(name="R", email=email, cards=["decline", "pay"])
        recovered.add(made.invoice)
    missed = await ours_at_stripe(billing) - known
    await billing.stripe.calm()

    found = await reconcile(billing)

    assert found["missing"] == found["recovered"] == missed
    assert (found["outstanding"], found["came_after_all"], found["failures"]) == (0, 0, 0)
    [row] = await billing.world.rows("billing", "select count(*) as n from stripe_events")
    assert found["received"] == row["n"]
    assert Counter(u.invoice_id for u in await billing.world.told(InvoiceUnpaid)) == Counter(
        {heard.invoice, *unpaid}
    )
    assert Counter(p.invoice_id for p in await billing.world.told(PaymentRecovered)) == Counter(recovered)
    tries = Counter((p.invoice, p.payment_method) for p in await billing.stripe.payments())
    assert set(tries.values()) == {1}
    # The walk after it finds nothing more to take in.
    assert (await reconcile(billing))["missing"] == missed
    assert set((await appended(billing)).values()) == {1}


async def test_the_first_walk_takes_in_what_stripe_still_keeps(billing: Billing) -> None:
    await billing.stripe.chaos(lose_all=True)
    await billing.stripe.renewal_fails(name="Vieux", email="v@example.fr", cards=["pay"])
    await billing.time_passes(timedelta(days=20))
    await billing.stripe.renewal_fails(name="Neuf", email="n@example.fr", cards=["pay"])
    await billing.stripe.calm()

    found = await reconcile(billing)

    assert found["recovered"] == await ours_at_stripe(billing)
    assert found["newest_event_age_seconds"] < timedelta(days=1).total_seconds()
    assert len(await billing.world.told(InvoicePaid)) == (await billing.stripe.state()).invoices["paid"]


async def test_webhooks_that_wait_in_kafka_are_not_counted_as_recovered(
    world: World, clock: Clock, tmp_path: Path
) -> None:
    """The reader is away while the walk goes by: everything seems missing, and is appended a second time."""
    without_reader = frozenset({Door.HTTP, Door.CLOCK})
    async with running_billing(world, clock, tmp_path, doors=without_reader) as billing:
        await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=["decline"])

        async def is_delivered() -> bool:
            return (await billing.stripe.state()).deliveries.get("pending", 0) == 0

        await until(is_delivered, what="every webhook in Kafka")
        await world.rows("billing", "update stripe_walk set wanted_at = now()")

        async def is_walked() -> bool:
            return bool((await figures(billing))["outcome"] == "done")

        await until(is_walked, what="the walk's end")
        seemed_missing = (await figures(billing))["missing"]
        assert seemed_missing == sum((await appended(billing)).values()) > 0

        async with world.running(billing.new_app()):
            await worked(billing)

            async def are_settled() -> bool:
                return bool((await figures(billing))["outstanding"] == 0)

            await until(are_settled, what="everything settled")
        found = await figures(billing)
        assert (found["missing"], found["recovered"]) == (0, 0)
        assert found["came_after_all"] == seemed_missing
        assert len(await world.told(InvoiceUnpaid)) == 1


async def test_events_of_the_cursors_own_second_are_not_passed_over(billing: Billing) -> None:
    await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=["pay"])
    await billing.at_rest()
    await reconcile(billing)
    [row] = await billing.world.rows("billing", "select reached_at from stripe_walk")

    await billing.stripe.chaos(lose_all=True)
    await billing.stripe.renewal_fails(name="G", email="g@example.fr", cards=["pay"])
    await billing.stripe.calm()
    # However the clock stood: the cursor is in the very second of what was missed.
    await billing.world.rows(
        "billing",
        """update stripe_walk set reached_at = greatest(reached_at, $1)""",
        row["reached_at"] + timedelta(seconds=1),
    )
    found = await reconcile(billing)

    assert found["missing"] == found["recovered"] > 0


@asynccontextmanager
async def walker(billing: Billing, **overrides: object) -> AsyncIterator[Reconciliation]:
    """The walk in the hands of a test."""
    settings = billing.settings.model_copy(update=overrides)
    database = Database(
        settings.service_database_url("billing"), service="billing", teller="billing", clock=billing.clock
    )
    stripe = Stripe(
        settings.stripe_sk.get_secret_value(),
        api_base=settings.stripe_api_base,
        timeout_seconds=settings.stripe_timeout_seconds,
        requests_per_second=settings.stripe_requests_per_second,
    )
    producer = Producer(settings, client_id="test-walker")
    await producer.start()
    try:
        yield Reconciliation(database, stripe, producer, settings, billing.clock)
    finally:
        await producer.stop()
        await stripe.close()
        await database.close()


async def _walk_to_the_end(walking: Reconciliation, billing: Billing) -> None:
    async def is_over() -> bool:
        await walking.go_on()
        [row] = await billing.world.rows("billing", "select stage, wanted_at from stripe_walk")
        return row["stage"] == "idle" and row["wanted_at"] is None

    await until(is_over, seconds=60, what="the walk's end")


async def test_a_walk_that_is_killed_again_and_again_goes_on_where_it_was(idle_billing: Billing) -> None:
    billing = idle_billing
    await billing.stripe.chaos(lose_all=True)
    for number in range(6):
        await billing.time_passes(timedelta(days=2))
        await billing.stripe.renewal_fails(name=f"C{number}", email="c@example.fr", cards=["pay"])
    missed = await ours_at_stripe(billing)
    await billing.stripe.calm()
    await billing.world.rows("billing", "update stripe_walk set wanted_at = now()")

    for milliseconds in (5, 12, 20, 33, 50, 80, 130):
        async with walker(billing, lease_seconds=0.2) as killed:
            task = asyncio.create_task(_walk_to_the_end(killed, billing))
            await asyncio.wait([task], timeout=milliseconds / 1000)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    async with walker(billing, lease_seconds=0.2) as last:
        await _walk_to_the_end(last, billing)

    found = await until(lambda: _settled(billing), what="everything settled") or {}
    assert found["missing"] == found["recovered"] == missed


async def _settled(billing: Billing) -> dict[str, Any] | None:
    async with walker(billing) as walking:
        await walking.go_on()
    found = await figures(billing)
    return found if found["outstanding"] == 0 else None


async def test_two_instances_walk_in_turns_and_append_nothing_twice(billing: Billing) -> None:
    await billing.stripe.chaos(lose_all=True)
    for number in range(10):
        await billing.time_passes(timedelta(hours=20))
        await billing.stripe.renewal_fails(name=f"C{number}", email="c@example.fr", cards=["pay"])
    missed = await ours_at_stripe(billing)
    await billing.stripe.calm()

    async with billing.world.running(billing.new_app()):
        found = await reconcile(billing)

    assert found["missing"] == found["recovered"] == missed
    assert set((await appended(billing)).values()) == {1}


async def test_more_events_than_a_window_may_hold_are_walked_in_shorter_ones(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With windows of a few events, so that a small storm is a dense one."""
    monkeypatch.setattr("services.billing.domain.walk.MOST", 100)
    monkeypatch.setattr("services.billing.domain.walk.AIM", 40)
    await billing.stripe.chaos(lose_all=True)
    for number in range(40):
        if number % 4 == 0:
            await billing.time_passes(timedelta(seconds=30))
        await billing.stripe.renewal_fails(name=f"C{number}", email="c@example.fr", cards=["pay"])
    missed = await ours_at_stripe(billing)
    await billing.stripe.calm()

    found = await reconcile(billing)

    assert found["missing"] == found["recovered"] == missed


async def test_an_open_invoice_that_failed_unheard_gets_its_case(billing: Billing) -> None:
    """Its events are gone for good; only the invoice itself tells."""
    await billing.stripe.chaos(lose_all=True)
    lost = await billing.stripe.renewal_fails(name="Perdu", email="p@example.fr", cards=DECLINING)
    debit = await billing.stripe.renewal_fails(name="SEPA", email="s@example.fr", cards=["processing"])
    await billing.stripe.calm()
    # The list was walked through before, as far as anybody remembers.
    await billing.world.rows(
        "billing", "update stripe_walk set reached_at = $1", billing.clock() + timedelta(days=1)
    )
    await ask_for_walk(billing)

    told = await until(lambda: billing.world.told(InvoiceUnpaid), what="the unpaid fact")
    assert [u.invoice_id for u in told] == [lost.invoice]
    cases = await billing.world.rows("billing", "select invoice_id, causation_id from dunning_cases")
    assert [c["invoice_id"] for c in cases] == [lost.invoice], f"{debit.invoice} is being paid"
    [walk] = await billing.world.rows("billing", "select causation_id from stripe_walk")
    assert cases[0]["causation_id"] == walk["causation_id"]


async def test_a_stripe_that_fails_holds_the_walk_up_and_loses_nothing(billing: Billing) -> None:
    await billing.stripe.chaos(lose_all=True)
    await billing.stripe.renewal_fails(name="F", email="f@example.fr", cards=["pay"])
    missed = await ours_at_stripe(billing)
    await billing.stripe.calm()
    await billing.stripe.fail_requests(status=500, count=2, path="/v1/events")
    await billing.stripe.fail_requests(status=429, count=2, path="/v1/events")
    await billing.stripe.fail_requests(status=0, count=1, path="/v1/events")

    found = await reconcile(billing)

    assert found["missing"] == found["recovered"] == missed
    assert found["failures"] == 0


async def test_the_figures_are_for_those_with_the_key_only(billing: Billing) -> None:
    assert (await billing.http.get("/internal/reconciliation")).status_code == 401
    wrong = {"X-Api-Key": str(uuid4())}
    assert (await billing.http.get("/internal/reconciliation", headers=wrong)).status_code == 401
    assert (await figures(billing))["outcome"] == "never asked for"
