"""Whose card expires soon is told once for each card and date, to whom it matters."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, date, datetime
from typing import Any

import pytest

from libs.common.events import Event
from libs.common.events.billing import PaymentMethodExpiring
from libs.common.events.directory import CompanyRegistered
from libs.common.events.scheduler import CardCheckDue
from libs.common.events.stripe import StripeEventReceived
from services.billing.app import create_app
from services.billing.settings import BillingSettings
from tests.builders.stripe_events import CREATED, body_of, event
from tests.integration.billing.test_intake import subscription
from tests.world import World, until

# CREATED is in November 2026; so are the mornings.
LAST_DAY = date(2026, 11, 30)
IN_TIME = date(2026, 11, 20)
NUMBERS = itertools.count()

Thing = dict[str, Any]


def card(id_: str = "pm_1", *, customer: str | None = "cus_1", **fields: Any) -> Thing:
    details: Thing = {"brand": "visa", "last4": "4242", "exp_month": 11, "exp_year": 2026}
    details["fingerprint"] = f"fp_{id_}"
    details |= {key: fields.pop(key) for key in list(fields) if key in details}
    thing = {"id": id_, "object": "payment_method", "type": "card", "created": CREATED, "card": details}
    return {**thing, "customer": customer, **fields}


def told_by_stripe(type_: str, thing: Thing, *, at: int = 0) -> StripeEventReceived:
    """`at`: seconds after the beginning."""
    body = event(type_, thing, id_=f"evt_{next(NUMBERS)}", created=CREATED + at)
    return StripeEventReceived.from_bytes(body_of(body))


def attached(thing: Thing, *, at: int = 0) -> StripeEventReceived:
    return told_by_stripe("payment_method.attached", thing, at=at)


def detached(thing: Thing, *, at: int = 10) -> StripeEventReceived:
    return told_by_stripe("payment_method.detached", {**thing, "customer": None}, at=at)


def subscribed(customer: str = "cus_1", status: str = "active", **fields: Any) -> StripeEventReceived:
    thing = subscription(status, id_=f"sub_of_{customer}", customer=customer, **fields)
    return told_by_stripe("customer.subscription.updated", thing)


def customer_with(default: str | None, *, customer: str = "cus_1", at: int = 0) -> StripeEventReceived:
    settings = {"default_payment_method": default}
    thing = {"id": customer, "object": "customer", "name": "Client", "email": "client@example.fr"}
    return told_by_stripe("customer.updated", {**thing, "invoice_settings": settings}, at=at)


def app_of(world: World, **changed: object) -> Any:
    values: dict[str, Any] = {
        "stripe_sk": "sk_test_1",
        "stripe_webhook_secrets": "whsec_1",
        "stripe_api_base": "http://127.0.0.1:9",
        "billing_public_url": "https://billing.example",
    }
    return create_app(world.settings(BillingSettings, **{**values, **changed}))


async def until_heard(world: World, events: list[StripeEventReceived]) -> None:
    async def look() -> bool:
        rows = await world.rows("billing", "select * from stripe_events where worked_at is not null")
        return {e.stripe_event_id for e in events} <= {row["stripe_event_id"] for row in rows}

    await until(look, what="what Stripe told")


async def until_looked(world: World, *days: date) -> None:
    async def look() -> bool:
        rows = await world.rows("billing", "select due_on from card_checks where finished_at is not null")
        untold = await world.rows("billing", "select from outbox where told_at is null")
        return set(days) <= {row["due_on"] for row in rows} and not untold

    await until(look, what=f"the look at the cards of {days}")


async def told_after(
    world: World, events: list[StripeEventReceived], *mornings: date
) -> list[PaymentMethodExpiring]:
    """What is told when Stripe has told this, and then the mornings come."""
    async with world.running(app_of(world)):
        await world.tell_all(events)
        await until_heard(world, events)
        for morning in mornings or (IN_TIME,):
            await world.tell(CardCheckDue(due_on=morning), copies=2)
            await until_looked(world, morning)
    return await world.told(PaymentMethodExpiring)


async def test_a_company_is_told_with_a_link_to_change_its_card(world: World) -> None:
    registered = CompanyRegistered(
        company_id="0d9e6ac0-7f1b-4c52-9b0e-3f5d8a1c2e44",
        name="Boulangerie Martin",
        email="compta@martin.example",
        stripe_customer_id="cus_1",
        registered_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    facts: list[Event] = [registered]
    await world.tell_all(facts)
    [fact] = await told_after(world, [attached(card()), subscribed()])
    assert fact.company_id == registered.company_id
    assert (fact.label, fact.expires_on) == ("Visa •••• 4242", LAST_DAY)
    assert (fact.customer_name, fact.customer_email) == ("Boulangerie Martin", "compta@martin.example")
    async with world.running(app_of(world)) as http:
        assert fact.card_url is not None
        opened = await http.head(fact.card_url.removeprefix("https://billing.example"))
    assert opened.status_code < 400, "the link is good"


@pytest.mark.parametrize(
    ("morning", "is_told"),
    [
        (date(2026, 11, 8), False),  # 22 days before
        (date(2026, 11, 9), True),
        (date(2026, 11, 30), True),  # its last good day
        (date(2026, 12, 1), False),  # too late: it has expired
    ],
)
async def test_a_card_is_told_of_in_its_last_weeks(world: World, morning: date, is_told: bool) -> None:
    told = await told_after(world, [attached(card()), subscribed()], morning)
    assert bool(told) is is_told


async def test_february_ends_when_it_ends(world: World) -> None:
    leap = card("pm_leap", exp_month=2, exp_year=2028)
    told = await told_after(world, [attached(leap), subscribed()], date(2028, 2, 29))
    assert [fact.expires_on for fact in told] == [date(2028, 2, 29)]


async def test_once_for_each_card_and_date_however_often_it_was_saved_and_looked_at(world: World) -> None:
    same: Thing = {"fingerprint": "fp_same"}
    later = card("pm_2", created=CREATED + 5, **same)
    events = [attached(card("pm_1", **same)), attached(later), subscribed()]
    mornings = [date(2026, 11, day) for day in (12, 13, 14)]
    assert len(await told_after(world, events, *mornings)) == 1
    # The newest is taken away, so that the other one is asked: the same card all the same.
    told = await told_after(world, [detached(card("pm_2"))], date(2026, 11, 15))
    assert [fact.card for fact in told if fact.card == "fp_same"] == ["fp_same"]
    # It got a new date, and runs out again a year later: that is told.
    renewed = told_by_stripe("payment_method.automatically_updated", card(exp_year=2027, **same), at=60)
    told = await told_after(world, [renewed], date(2026, 11, 16), date(2027, 11, 20))
    assert [fact.expires_on for fact in told] == [LAST_DAY, date(2027, 11, 30)]


GOOD: Thing = {"exp_year": 2030}
NOT_TOLD: dict[str, list[StripeEventReceived]] = {
    "a newer card": [attached(card()), attached(card("pm_2", created=CREATED + 5, **GOOD)), subscribed()],
    "another default": [attached(card()), attached(card("pm_0", created=CREATED - 5, **GOOD)),
                        customer_with("pm_0"), subscribed()],
    "another default, although the subscription names it": [
        attached(card()), attached(card("pm_0", created=CREATED - 5, **GOOD)), customer_with("pm_0"),
        subscribed(default_payment_method="pm_1")],
    "a default that does not expire": [
        attached(card()), customer_with("pm_sepa"), subscribed(),
        attached({"id": "pm_sepa", "object": "payment_method", "type": "sepa_debit", "created": CREATED - 5,
                  "customer": "cus_1", "sepa_debit": {"last4": "3000"}})],
    "the same card with a new date": [
        attached(card(fingerprint="fp_same")), customer_with("pm_1"), subscribed(),
        attached(card("pm_0", created=CREATED - 5, fingerprint="fp_same", **GOOD))],
    "renewed by the bank": [attached(card()), subscribed(),
                            told_by_stripe("payment_method.automatically_updated", card(**GOOD), at=9)],
    "detached": [attached(card()), detached(card()), subscribed()],
    "canceled": [attached(card()), subscribed(status="canceled", ended_at=CREATED)],
    "ends before the card does": [attached(card()), subscribed(cancel_at=CREATED + 3600)],
    "never subscribed": [attached(card()), customer_with("pm_1")],
    "a card of nobody": [attached(card(customer=None))],
    "a customer that is deleted": [
        attached(card()), subscribed(),
        told_by_stripe("customer.deleted", {"id": "cus_1", "object": "customer", "deleted": True}, at=9)],
    "no month at all": [attached(card(exp_month=13)), subscribed()],
}  # fmt: skip


async def test_who_needs_no_new_card_is_not_told(world: World) -> None:
    """All at once, each of a customer of its own; and one who is told, so that silence means something."""
    events: list[StripeEventReceived] = []
    for number, case in enumerate(NOT_TOLD.values()):
        for each in case:
            text = each.body.decode()
            for name in ("cus_1", "pm_1", "pm_2", "pm_0", "pm_sepa", "evt_"):
                text = text.replace(name, f"{name}x{number}x")
            events.append(StripeEventReceived.from_bytes(text.encode()))
    events += [attached(card("pm_told", customer="cus_told")), subscribed("cus_told")]
    assert [fact.stripe_customer_id for fact in await told_after(world, events)] == ["cus_told"]


TOLD: dict[str, list[StripeEventReceived]] = {
    "it is the default": [attached(card()), attached(card("pm_2", created=CREATED + 5)),
                          customer_with("pm_1"), subscribed()],
    "the other default expires too": [attached(card()), attached(card("pm_2", exp_month=10)),
                                      customer_with("pm_2"), subscribed(default_payment_method="pm_1")],
    "the default was detached": [attached(card()), attached(card("pm_2", **GOOD)), customer_with("pm_2"),
                                 detached(card("pm_2")), subscribed()],
    "unpaid at the moment": [attached(card()), subscribed(status="past_due")],
    "ends after the card does": [attached(card()), subscribed(cancel_at=CREATED + 3_000_000)],
}  # fmt: skip


@pytest.mark.parametrize("why", TOLD)
async def test_who_needs_a_new_card_is_told(world: World, why: str) -> None:
    assert [fact.payment_method_id for fact in await told_after(world, TOLD[why])] == ["pm_1"]


async def test_any_order_of_a_cards_life_ends_the_same(world: World) -> None:
    """Attached, dated anew twice, taken away: every order, each of a card of its own."""
    events: list[StripeEventReceived] = []
    lives = list(itertools.permutations(range(4)))
    for number, order in enumerate(lives):
        id_, customer = f"pm_{number}", f"cus_{number}"
        life = [
            attached(card(id_, customer=customer, exp_month=9), at=0),
            told_by_stripe("payment_method.updated", card(id_, customer=customer, exp_month=10), at=5),
            told_by_stripe("payment_method.updated", card(id_, customer=customer, exp_month=12), at=9),
            detached(card(id_), at=9 if number % 2 else 20),
        ]
        events += [life[at] for at in order]
    async with world.running(app_of(world)):
        for one in events:  # one after the other: a batch would put them in order
            await world.tell(one)
        await until_heard(world, events)
    rows = await world.rows("billing", "select is_detached from payment_methods")
    assert [row["is_detached"] for row in rows] == [True] * len(lives)


async def test_two_dates_in_any_order_end_in_the_later_one(world: World) -> None:
    older = told_by_stripe("payment_method.updated", card(exp_year=2026), at=1)
    newer = told_by_stripe("payment_method.updated", card(exp_year=2031), at=2)
    assert await told_after(world, [newer, older, subscribed()]) == []
    [row] = await world.rows("billing", "select expires_on from payment_methods")
    assert row["expires_on"] == date(2031, 11, 30)


async def test_many_cards_and_several_processes(world: World) -> None:
    """More than a batch; the morning is told twice, to two processes."""
    events = [
        each
        for n in range(250)
        for each in (attached(card(f"pm_{n}", customer=f"cus_{n}")), subscribed(f"cus_{n}"))
    ]
    async with world.running(app_of(world)), world.running(app_of(world)):
        await world.tell_all(events)
        await until_heard(world, events)
        await asyncio.gather(*(world.tell(CardCheckDue(due_on=day), copies=2) for day in (IN_TIME, LAST_DAY)))
        await until_looked(world, IN_TIME, LAST_DAY)
    told = await world.told(PaymentMethodExpiring)
    assert sorted(fact.stripe_customer_id for fact in told) == sorted(f"cus_{n}" for n in range(250))
    checks = await world.rows("billing", "select told from card_checks order by due_on")
    assert [row["told"] for row in checks] == [250, 0]
