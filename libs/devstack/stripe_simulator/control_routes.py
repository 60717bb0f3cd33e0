"""`/_sim`: the simulator's own controls and its books, for tests and scenarios. No key is asked."""

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from libs.devstack.stripe_simulator import cards, payments, scenarios, schedule
from libs.devstack.stripe_simulator.chaos import DeliveryRule, PaymentRule
from libs.devstack.stripe_simulator.errors import invalid
from libs.devstack.stripe_simulator.resources.events import put_endpoint
from libs.devstack.stripe_simulator.resources.payment_methods import set_behaviour
from libs.devstack.stripe_simulator.resources.payment_records import open_dispute
from libs.devstack.stripe_simulator.settings import CURRENT_API_VERSION, WebhookTarget
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Act, Cause, World, new_id


class RenewalWish(BaseModel):
    name: str
    email: str
    cards: list[str]
    metadata: dict[str, str] = {}
    amount_cents: int = 2990


class AmountWish(BaseModel):
    amount_cents: int = 2990


class Settlement(BaseModel):
    succeeds: bool
    decline_code: str = "generic_decline"


class BehaviourWish(BaseModel):
    behaviour: str


class DeliveryWish(BaseModel):
    event_type: str = "*"
    copies: Annotated[int, Field(ge=0)] = 1
    shuffle: bool = False
    max_delay_seconds: Annotated[float, Field(ge=0)] = 0.0
    lose_first: Annotated[int, Field(ge=0)] = 0
    lose_all: bool = False


class PaymentWish(BaseModel):
    before_seconds: tuple[float, float] = (0.0, 0.0)
    after_seconds: tuple[float, float] = (0.0, 0.0)
    lose_answers: int = 0


class FailureWish(BaseModel):
    status: int = 500
    count: int = 1
    path: str = "/v1/"
    after_effect: bool = False
    retry_after_seconds: float | None = None


class LatencyWish(BaseModel):
    seconds: Annotated[float, Field(ge=0)]


class EndpointWish(BaseModel):
    url: str
    secret: str
    api_version: str = CURRENT_API_VERSION
    enabled_events: list[str] = ["*"]


class ClockWish(BaseModel):
    seconds: Annotated[int, Field(ge=0)]


class DisputeWish(BaseModel):
    reason: str = "fraudulent"


def router(world: World) -> APIRouter:
    """The controls of one world."""
    controls = APIRouter(prefix="/_sim")
    _add_actions(controls, world)
    _add_payment_controls(controls, world)
    _add_troubles(controls, world)
    _add_books(controls, world)
    return controls


def _add_actions(controls: APIRouter, world: World) -> None:
    @controls.post("/renewals")
    async def renew(wish: RenewalWish) -> Record:
        act = Act(world, Cause(new_id("req"), None))
        made = scenarios.renew_with_cards(
            act,
            name=wish.name,
            email=wish.email,
            metadata=wish.metadata,
            cards_in_order=wish.cards,
            amount_cents=wish.amount_cents,
        )
        world.commit()
        return _renewal(made)

    @controls.post("/customers/{customer_id}/renewals")
    async def renew_again(customer_id: str, wish: AmountWish) -> Record:
        act = Act(world, Cause(new_id("req"), None))
        customer = act.get("customer", customer_id)
        made = scenarios.renew_again(act, customer, amount_cents=wish.amount_cents)
        world.commit()
        return _renewal(made)

    @controls.post("/clock/advance")
    async def advance_clock(wish: ClockWish) -> Record:
        done = schedule.run_due(Act(world), world.clock.now() + wish.seconds)
        world.commit()
        return {"now": world.clock.now(), "done": done}

    @controls.post("/events/{event_id}/resend")
    async def resend(event_id: str) -> Record:
        event = Act(world).get("event", event_id)
        world.deliverer.queue_again(event)
        world.commit()
        return {"id": event_id}

    @controls.post("/endpoints")
    async def add_endpoint(wish: EndpointWish) -> Record:
        target = WebhookTarget(wish.url, wish.secret, wish.api_version, tuple(wish.enabled_events))
        endpoint = put_endpoint(Act(world), new_id("we"), target)
        world.commit()
        return {"id": endpoint["id"]}


def _add_payment_controls(controls: APIRouter, world: World) -> None:
    @controls.post("/invoices/{invoice_id}/attempt")
    async def attempt(invoice_id: str) -> Record:
        invoice = Act(world).get("invoice", invoice_id)
        schedule.attempt_automatically(Act(world), invoice)
        world.commit()
        return _summary(invoice)

    @controls.post("/invoices/{invoice_id}/settle")
    async def settle(invoice_id: str, wish: Settlement) -> Record:
        invoice = Act(world).get("invoice", invoice_id)
        payments.settle(Act(world), invoice, succeeds=wish.succeeds, decline_code=wish.decline_code)
        world.commit()
        return _summary(invoice)

    @controls.post("/payment_methods/{method_id}/behaviour")
    async def behave(method_id: str, wish: BehaviourWish) -> Record:
        try:
            behaviour = cards.behaviour_named(wish.behaviour)
        except ValueError as error:
            raise invalid(str(error)) from None
        set_behaviour(Act(world), Act(world).get("payment_method", method_id), behaviour)
        world.commit()
        return {"id": method_id, "behaviour": wish.behaviour}

    @controls.post("/charges/{charge_id}/dispute")
    async def dispute(charge_id: str, wish: DisputeWish) -> Record:
        opened = open_dispute(Act(world), Act(world).get("charge", charge_id), wish.reason)
        world.commit()
        return {"id": opened["id"]}


def _add_troubles(controls: APIRouter, world: World) -> None:
    def saved() -> Record:
        world.commit()
        return world.chaos.settings()

    @controls.post("/chaos/deliveries")
    async def set_deliveries(wish: DeliveryWish) -> Record:
        rule = DeliveryRule(wish.copies, wish.shuffle, wish.max_delay_seconds, wish.lose_first, wish.lose_all)
        world.chaos.set_deliveries(wish.event_type, rule)
        return saved()

    @controls.post("/chaos/payment")
    async def set_payment(wish: PaymentWish) -> Record:
        world.chaos.set_payment(PaymentRule(wish.before_seconds, wish.after_seconds, wish.lose_answers))
        return saved()

    @controls.post("/chaos/failures")
    async def add_failures(wish: FailureWish) -> Record:
        world.chaos.add_failures(
            status=wish.status,
            count=wish.count,
            path=wish.path,
            after_effect=wish.after_effect,
            retry_after_seconds=wish.retry_after_seconds,
        )
        return saved()

    @controls.post("/chaos/latency")
    async def set_latency(wish: LatencyWish) -> Record:
        world.chaos.set_latency(wish.seconds)
        return saved()

    @controls.delete("/chaos")
    async def clear() -> Record:
        world.chaos.clear()
        return saved()


def _add_books(controls: APIRouter, world: World) -> None:
    store = world.store

    @controls.get("/state")
    async def state() -> Record:
        return {
            "now": world.clock.now(),
            "counts": {kind: store.count(kind) for kind in store.kinds()},
            "invoices": Counter(row["status"] for row in store.oldest_first("invoice")),
            "attempts": Counter(row["outcome"] for row in store.oldest_first("_attempt")),
            "charges": Counter(row["status"] for row in store.oldest_first("charge")),
            "events": Counter(row["type"] for row in store.oldest_first("event")),
            "deliveries": Counter(row["status"] for row in store.oldest_first("_delivery")),
            "requests": world.requests,
            "chaos": world.chaos.settings(),
        }

    @controls.get("/attempts")
    async def list_attempts(invoice: str | None = None) -> list[Record]:
        rows = store.oldest_first("_attempt")
        return [row for row in rows if invoice in (None, row["invoice"])]

    @controls.get("/charges")
    async def list_charges(invoice: str | None = None, status: str | None = None) -> list[Record]:
        return [
            _summary_of_charge(row)
            for row in store.oldest_first("charge")
            if invoice in (None, row["_sim"]["invoice"]) and status in (None, row["status"])
        ]

    @controls.get("/invoices")
    async def list_invoices() -> list[Record]:
        return [_summary(row) for row in store.oldest_first("invoice")]

    @controls.get("/deliveries")
    async def list_deliveries(
        status: str | None = None, event: str | None = None, event_type: str | None = None
    ) -> list[Record]:
        rows = world.deliverer.of_event(event) if event else store.oldest_first("_delivery")
        return [row for row in rows if status in (None, row["status"]) and event_type in (None, row["type"])]


def _renewal(made: scenarios.Renewal) -> Record:
    return {
        "customer": made.customer["id"],
        "subscription": made.subscription["id"],
        "invoice": made.invoice["id"],
        "payment_methods": [method["id"] for method in made.payment_methods],
    }


def _summary(invoice: Record) -> Record:
    names = (
        "id",
        "status",
        "customer",
        "number",
        "attempt_count",
        "next_payment_attempt",
        "amount_remaining",
    )
    return {name: invoice[name] for name in names}


def _summary_of_charge(charge: Record) -> dict[str, Any]:
    names = ("id", "status", "amount", "customer", "payment_intent", "payment_method", "failure_code")
    return {**{name: charge[name] for name in names}, "invoice": charge["_sim"]["invoice"]}
