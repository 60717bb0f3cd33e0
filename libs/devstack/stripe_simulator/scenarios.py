"""Whole situations made in one call."""

from dataclasses import dataclass

from libs.devstack.stripe_simulator import cards, schedule, subscriptions
from libs.devstack.stripe_simulator.cards import TestCard
from libs.devstack.stripe_simulator.clock import add_interval
from libs.devstack.stripe_simulator.errors import invalid
from libs.devstack.stripe_simulator.forms import Params
from libs.devstack.stripe_simulator.resources.catalog import add_price
from libs.devstack.stripe_simulator.resources.customers import add_customer, change_customer
from libs.devstack.stripe_simulator.resources.payment_methods import (
    add_payment_method,
    attach,
    of_customer,
)
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import AUTOMATIC, Act

_PLAN = "Formule Pro"


@dataclass(frozen=True)
class Renewal:
    """A customer whose subscription has just been renewed, and how that went."""

    customer: Record
    subscription: Record
    invoice: Record
    payment_methods: list[Record]


def renew_with_cards(
    act: Act, *, name: str, email: str, metadata: dict[str, str], cards_in_order: list[str], amount_cents: int
) -> Renewal:
    """A customer with saved cards, the first of them the default, and a subscription a month old whose
    renewal invoice is finalized and attempted once, automatically.

    `cards_in_order`: behaviours (`pay`, `decline_lost_card`, `3ds`, `processing`), test tokens or numbers.
    """
    chosen = [_card(word) for word in cards_in_order]
    customer = add_customer(act, Params({"name": name, "email": email, "metadata": dict(metadata)}))
    methods = [attach(act, add_payment_method(act, card, Params({})), customer["id"]) for card in chosen]
    if methods:
        default = {"invoice_settings": {"default_payment_method": methods[0]["id"]}}
        change_customer(act, customer, Params(default))
    return renew_again(act, customer, amount_cents=amount_cents)


def renew_again(act: Act, customer: Record, *, amount_cents: int) -> Renewal:
    """One more subscription of a customer, a month old, renewed now and attempted once, automatically."""
    price = _price(act, amount_cents)
    now = act.now()
    subscription = subscriptions.add_subscription(
        act,
        customer,
        [(price, 1)],
        period=subscriptions.period_after(price, now),
        status="active",
        start_date=add_interval(now, "month", -1),
        metadata=customer["metadata"],
    )
    invoice = schedule.bill_period(Act(act.world, AUTOMATIC), subscription)
    oldest_first = of_customer(act, customer["id"])[::-1]
    return Renewal(customer, subscription, invoice, oldest_first)


def _card(word: str) -> TestCard:
    """A behaviour, a token, or a number."""
    if word.replace(" ", "").isdigit():
        return cards.card_for_number(word)
    try:
        card = cards.card_for_token(word) if word.startswith(("pm_", "tok_")) else _simulated(word)
    except ValueError as error:
        raise invalid(str(error)) from None
    if card is None:
        raise invalid(f"No such test card: {word}")
    return card


def _simulated(word: str) -> TestCard:
    return cards.simulated_card(cards.behaviour_named(word))


def _price(act: Act, amount_cents: int) -> Record:
    for price in act.store.oldest_first("price"):
        if price["nickname"] == _PLAN and price["unit_amount"] == amount_cents and price["currency"] == "eur":
            return price
    return add_price(
        act,
        Params(
            {
                "currency": "eur",
                "unit_amount": str(amount_cents),
                "nickname": _PLAN,
                "recurring": {"interval": "month"},
                "product_data": {"name": _PLAN},
            }
        ),
    )
