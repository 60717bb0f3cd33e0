"""What Stripe tells beside failed payments: kept, followed in any order, and about somebody."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.common.events import provisional_company_id
from libs.common.events.billing import (
    InvoicePaid,
    PaymentRefunded,
    SubscriptionCanceled,
    SubscriptionChanged,
    SubscriptionStarted,
    TrialStarted,
)
from libs.common.events.directory import (
    CompanyRegistered,
    LifetimeGranted,
    StripeCustomerLinked,
    StripeEventReplayRequested,
)
from libs.common.events.stripe import StripeEventReceived
from services.billing.app import create_app
from services.billing.settings import BillingSettings
from tests.builders.stripe_events import CREATED, body_of, event, invoice
from tests.world import World, until

KEY = "an-internal-key-for-tests"


@asynccontextmanager
async def billing(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Billing whose Stripe nobody reaches: what is told here needs none."""
    settings = world.settings(
        BillingSettings,
        stripe_sk="sk_test_1",
        stripe_webhook_secrets="whsec_1",
        stripe_api_base="http://127.0.0.1:9",
        interne_apikey=KEY,
    )
    async with world.running(create_app(settings)) as client:
        client.headers["X-Api-Key"] = KEY
        yield client


def subscription(status: str = "active", *, id_: str = "sub_1", **fields: Any) -> dict[str, Any]:
    price = {"id": "price_1", "nickname": "Standard", "unit_amount": 2990, "currency": "eur",
             "recurring": {"interval": "month", "interval_count": 1}}  # fmt: skip
    return {
        "id": id_,
        "object": "subscription",
        "customer": "cus_1",
        "status": status,
        "created": CREATED,
        "start_date": CREATED,
        "items": {"data": [{"price": price, "quantity": 1, "current_period_end": CREATED + 2_592_000}]},
        **fields,
    }


def customer(**fields: Any) -> dict[str, Any]:
    return {"id": "cus_1", "object": "customer", "name": "Client", "email": "client@example.fr", **fields}


async def tell(world: World, *events: dict[str, Any]) -> None:
    """As the ingress would; returns when all are worked."""
    await world.tell_all([StripeEventReceived.from_bytes(body_of(each)) for each in events])
    ids = [each["id"] for each in events]

    async def are_worked() -> bool:
        [row] = await world.rows(
            "billing",
            """select count(*) as n from stripe_events
               where worked_at is not null and stripe_event_id = any($1)""",
            ids,
        )
        return bool(row["n"] == len(set(ids)))

    await until(are_worked, seconds=60, what="the events worked")


async def outcome(world: World, id_: str) -> str:
    [row] = await world.rows("billing", "select outcome from stripe_events where stripe_event_id = $1", id_)
    return str(row["outcome"])


async def test_an_event_is_kept_as_it_came_with_how_often_and_what_it_did(world: World) -> None:
    told = event("customer.subscription.created", subscription(), id_="evt_1", api_version="2025-03-31.basil")
    async with billing(world):
        await tell(world, told)
        await tell(world, told)
        await tell(world, told)

        async def is_counted() -> bool:
            [row] = await world.rows("billing", "select times_received from stripe_events")
            return bool(row["times_received"] == 3)

        await until(is_counted, what="three arrivals counted")
    [kept] = await world.rows("billing", "select * from stripe_events")
    assert kept["body"] == body_of(told)
    assert (kept["type"], kept["api_version"]) == ("customer.subscription.created", "2025-03-31.basil")
    assert kept["outcome"] == "told subscription_started, told subscription_changed"


async def test_a_life_of_a_subscription_is_told(world: World) -> None:
    trial: dict[str, Any] = {"trial_end": CREATED + 1_209_600}
    end: dict[str, Any] = {
        "ended_at": CREATED + 50,
        "cancellation_details": {"reason": "cancellation_requested"},
    }
    async with billing(world):
        for second, (type_, thing) in enumerate(
            [
                ("created", subscription("trialing", **trial)),
                ("updated", subscription("active", **trial)),
                ("updated", subscription("past_due", **trial)),
                ("deleted", subscription("canceled", **trial, **end)),
            ]
        ):
            of = event(f"customer.subscription.{type_}", thing, id_=f"evt_{second}", created=CREATED + second)
            await tell(world, of)
        company = provisional_company_id("cus_1")
        [started] = await until(lambda: world.told(SubscriptionStarted), what="the start")
        [canceled] = await until(lambda: world.told(SubscriptionCanceled), what="the end")
        [begun] = await world.told(TrialStarted)
    assert (begun.company_id, begun.trial_ends_at.timestamp()) == (company, CREATED + 1_209_600)
    assert (started.plan, started.started_at.timestamp()) == ("Standard", CREATED)
    assert (canceled.reason, canceled.has_another) == ("cancellation_requested", False)
    changes = [(c.previous_status, c.status) for c in await world.told(SubscriptionChanged)]
    assert changes == [(None, "trialing"), ("trialing", "active"), ("active", "past_due"),
                       ("past_due", "canceled")]  # fmt: skip


LIFE = [
    event("customer.created", customer(), id_="evt_a", created=CREATED),
    event("invoice.created", invoice(status="draft", attempt_count=0), id_="evt_b", created=CREATED + 1),
    event("invoice.payment_failed", invoice(), id_="evt_c", created=CREATED + 2),
    event("invoice.paid", invoice(status="paid", amount_paid=2990, amount_remaining=0), id_="evt_d",
          created=CREATED + 3),
    event("customer.updated", customer(name="Client Deux"), id_="evt_e", created=CREATED + 4),
    event("customer.updated", customer(name="Client Trois"), id_="evt_f", created=CREATED + 4),
]  # fmt: skip


async def test_all_orders_of_a_life_end_in_the_same_state(world: World) -> None:
    """Every permutation of the events of an invoice and its customer, each for a customer of its own."""
    async with billing(world):
        orders = list(itertools.permutations(LIFE))
        await tell(world, *(each for number, order in enumerate(orders) for each in renamed(order, number)))
    states = {
        tuple(row.values())
        for row in await world.rows(
            "billing",
            """select c.name, c.email, i.status, i.amount_remaining_cents, i.attempt_count,
                      coalesce(d.state, 'closed') as state, coalesce(d.closed_why, 'paid') as why
               from customers c join invoices i using (stripe_customer_id)
               left join dunning_cases d using (invoice_id)""",
        )
    }
    assert len(states) == 1, states
    [paid] = await world.rows("billing", "select count(*) as n from outbox where type = $1", InvoicePaid.type)
    assert paid["n"] == len(orders)


def renamed(order: Sequence[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """The same life of another customer."""
    renames = {"cus_1": f"cus_{number}", "in_1": f"in_{number}"}
    return [
        each
        | {
            "id": f"{each['id']}_{number}",
            "data": {"object": {k: renames.get(str(v), v) for k, v in each["data"]["object"].items()}},
        }
        for each in order
    ]


@pytest.mark.parametrize(
    ("known", "asked", "is_known"),
    [
        ([("Compta@Example.fr", None)], {}, True),
        ([("autre@example.fr", "cus_1")], {}, True),
        ([("compta@example.fr", None), ("compta@example.fr", None)], {}, False),
        ([("autre@example.fr", None)], {}, False),
        ([("autre@example.fr", None)], {"metadata": {"company_id": "9976"}}, True),
    ],
    ids=["by address", "by Stripe's id", "two of one address", "nobody", "by metadata"],
)
async def test_whose_a_stripe_customer_is(
    world: World, known: list[tuple[str, str | None]], asked: dict[str, Any], is_known: bool
) -> None:
    companies = [
        CompanyRegistered(company_id=uuid4(), name=f"E{n}", email=email, stripe_customer_id=stripe_id,
                          registered_at=datetime.now(UTC))
        for n, (email, stripe_id) in enumerate(known)
    ]  # fmt: skip
    async with billing(world) as client:
        for company in companies:
            await world.tell(company)
        await until(lambda: world.rows("billing", "select 1 from companies offset $1", len(known) - 1))
        await tell(
            world, event("customer.created", customer(email="compta@example.fr", **asked), id_="evt_1")
        )
        await tell(world, event("customer.subscription.created", subscription(), id_="evt_2"))
        [started] = await until(lambda: world.told(SubscriptionStarted), what="the start")
        waiting = (await client.get("/internal/unmatched-customers")).json()["customers"]
    assert (started.company_id != provisional_company_id("cus_1")) == is_known
    assert [w["stripe_customer_id"] for w in waiting] == ([] if is_known else ["cus_1"])


async def test_a_link_moves_what_is_open_and_tells_what_the_company_missed(world: World) -> None:
    company, provisional = uuid4(), provisional_company_id("cus_1")
    async with billing(world) as client:
        await tell(world, event("customer.created", customer(), id_="evt_1"))
        await tell(world, event("customer.subscription.created", subscription("past_due"), id_="evt_2"))
        await tell(world, event("invoice.payment_failed", invoice(), id_="evt_3"))
        await world.tell(
            StripeCustomerLinked(
                company_id=company, stripe_customer_id="cus_1", provisional_company_id=provisional
            )
        )

        async def missed() -> list[SubscriptionChanged]:
            return [c for c in await world.told(SubscriptionChanged) if c.company_id == company]

        [change] = await until(missed, what="what the company missed")
        waiting = (await client.get("/internal/unmatched-customers")).json()["customers"]
        await tell(world, event("invoice.paid", invoice("in_2", status="paid"), id_="evt_4"))
        [paid] = await until(lambda: world.told(InvoicePaid), what="the payment")
    assert (change.status, change.subscription_id) == ("past_due", "sub_1")
    assert waiting == []
    assert paid.company_id == company
    [case] = await world.rows("billing", "select company_id from dunning_cases")
    assert case["company_id"] == company


async def test_a_customer_who_is_named_after_the_subscription_moves_to_the_company(world: World) -> None:
    """Stripe's events come in any order: the company hears of the subscription all the same."""
    company = uuid4()
    async with billing(world):
        await tell(world, event("customer.subscription.created", subscription(), id_="evt_1"))
        await tell(world, event("invoice.payment_failed", invoice(), id_="evt_2"))
        named = customer(metadata={"company_id": str(company)})
        await tell(world, event("customer.created", named, id_="evt_3"))
        await tell(world, event("customer.updated", named, id_="evt_4", created=CREATED + 9))

        async def of_the_company() -> list[SubscriptionStarted]:
            return [s for s in await world.told(SubscriptionStarted) if s.company_id == company]

        assert len(await until(of_the_company, what="the company's subscription")) == 1
        assert await outcome(world, "evt_3") == "moved to its company"
        assert await outcome(world, "evt_4") == "noted"
    [case] = await world.rows("billing", "select company_id from dunning_cases")
    assert case["company_id"] == company


async def test_what_was_told_of_a_customer_stays_with_one_company_until_a_link(world: World) -> None:
    """A company that registers later under the same address does not tear a customer's story in two."""
    async with billing(world):
        await tell(world, event("customer.created", customer(), id_="evt_1"))
        await tell(world, event("invoice.paid", invoice("in_1", status="paid"), id_="evt_2"))
        await world.tell(
            CompanyRegistered(company_id=uuid4(), name="Client", email="client@example.fr",
                              registered_at=datetime.now(UTC))
        )  # fmt: skip
        await until(lambda: world.rows("billing", "select 1 from companies"), what="the company")
        await tell(world, event("invoice.paid", invoice("in_2", status="paid"), id_="evt_3"))

        async def both() -> bool:
            return len(await world.told(InvoicePaid)) == 2

        await until(both, what="two payments")
        assert {p.company_id for p in await world.told(InvoicePaid)} == {provisional_company_id("cus_1")}


async def test_a_company_may_be_subscribed_for_life_and_no_longer(world: World) -> None:
    company = uuid4()

    def granted(second: int, *, is_granted: bool) -> LifetimeGranted:
        return LifetimeGranted(company_id=company, granted_by="claire@example.fr", reason="partenaire",
                               granted_at=datetime.fromtimestamp(CREATED + second, UTC),
                               is_granted=is_granted)  # fmt: skip

    async with billing(world):
        await world.tell(granted(0, is_granted=True), copies=3)
        [change] = await until(lambda: world.told(SubscriptionChanged), what="the grant")
        assert change.status == "lifetime"
        await world.tell(granted(9, is_granted=False))
        [ended] = await until(lambda: world.told(SubscriptionCanceled), what="its end")
        assert ended.company_id == company


async def test_a_replay_tells_nothing_twice_and_its_preview_tells_nothing_at_all(world: World) -> None:
    async with billing(world) as client:
        paid = event("invoice.paid", invoice(status="paid", amount_paid=2990), id_="evt_1")
        await tell(world, paid)
        await until(lambda: world.told(InvoicePaid), what="the payment")
        preview = (await client.get("/internal/stripe-events/evt_1/replay-preview")).json()
        assert [(e["type"], e["is_new"]) for e in preview["effects"]] == [(InvoicePaid.type, False)]
        await world.rows("billing", "delete from outbox where type = $1", InvoicePaid.type)
        preview = (await client.get("/internal/stripe-events/evt_1/replay-preview")).json()
        assert [(e["type"], e["is_new"]) for e in preview["effects"]] == [(InvoicePaid.type, True)]
        assert await world.rows("billing", "select 1 from outbox") == [], "a preview tells nothing"
        for with_effects, said in ((False, "replayed: state only"), (True, "replayed: tell_paid")):
            await world.tell(
                StripeEventReplayRequested(
                    stripe_event_id="evt_1",
                    with_effects=with_effects,
                    requested_by="claire@example.fr",
                    requested_at=datetime.now(UTC),
                )
            )

            async def is_done(said: str = said) -> bool:
                return await outcome(world, "evt_1") == said

            await until(is_done, what=said)
        assert len(await world.rows("billing", "select 1 from outbox")) == 1
        assert (await client.get("/internal/stripe-events/evt_none/replay-preview")).status_code == 404
        unknown = httpx.Headers({"X-Api-Key": "wrong"})
        refused = await client.get("/internal/unmatched-customers", headers=unknown)
        assert refused.status_code == 401


async def test_money_that_goes_back_is_told_once_an_amount(world: World) -> None:
    charge = {"id": "ch_1", "object": "charge", "customer": "cus_1", "amount": 2990, "currency": "eur"}
    async with billing(world):
        await tell(world, event("charge.refunded", {**charge, "amount_refunded": 1000}, id_="evt_1"))
        await tell(world, event("charge.refunded", {**charge, "amount_refunded": 1000}, id_="evt_2"))
        await tell(world, event("charge.refunded", {**charge, "amount_refunded": 2990}, id_="evt_3"))
        refunds = await until(lambda: world.told(PaymentRefunded), what="the refunds")

        async def are_relayed() -> bool:
            return not await world.rows("billing", "select 1 from outbox where told_at is null")

        await until(are_relayed, what="all relayed")
        refunds = await world.told(PaymentRefunded)
    assert [refund.refunded_cents for refund in refunds] == [1000, 2990]


NASTY = "\u202e\u0007 <script>alert('é')</script> 漢字 \U0001f3e2 " + "x" * 4000


@pytest.mark.parametrize(
    ("told", "did"),
    [
        (event("invoice.payment_failed", {**invoice(), "customer": None}), "known and ignored"),
        (event("invoice.paid", invoice(status="paid", currency="xxx")), "tell_paid"),
        (event("invoice.paid", invoice(status="paid", amount_due=0, amount_remaining=0)), "tell_paid"),
        (event("invoice.payment_failed", invoice(amount_due=-500, amount_remaining=-500)),
         "the invoice is not open"),
        (event("invoice.payment_failed", invoice(amount_remaining=0)), "the invoice is not open"),
        (event("customer.deleted", customer()), "noted"),
        (event("customer.updated", customer(name=NASTY, metadata={f"k{n}": "v" * 500 for n in range(50)})),
         "noted"),
        (event("invoice.upcoming", {**invoice(), "id": None}), "known and ignored"),
        (event("payment_method.attached", {"id": "pm_1", "customer": "cus_1"}), "noted"),
        (event("some.thing.new", {"id": "x_1"}), "not known and ignored"),
        (event("checkout.session.completed", {"id": "cs_1", "customer": "cus_1",
                                              "client_reference_id": str(UUID(int=7))}), "noted"),
    ],
    ids=["nobody's invoice", "unknown currency", "zero", "negative", "nothing left", "deleted customer",
         "50 keys, any script", "a forecast", "a method", "unknown type", "checkout names a company"],
)  # fmt: skip
async def test_whatever_comes_has_an_outcome(world: World, told: dict[str, Any], did: str) -> None:
    async with billing(world):
        await tell(world, told)
        assert await outcome(world, told["id"]) == did
    assert await world.rows("billing", "select 1 from inbox where status <> 'done'") == []
