"""`/v1/payment_methods`: cards and SEPA accounts, each with a behaviour."""

from dataclasses import asdict

from libs.devstack.stripe_simulator import cards
from libs.devstack.stripe_simulator.api import Call, Routes
from libs.devstack.stripe_simulator.cards import Behaviour, TestCard
from libs.devstack.stripe_simulator.errors import invalid, no_such
from libs.devstack.stripe_simulator.forms import Params, merged_metadata
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Act, new_id

routes = Routes()

_ADDRESS = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}


def add_payment_method(act: Act, card: TestCard, params: Params) -> Record:
    """A payment method that belongs to nobody yet."""
    billing = params.table("billing_details")
    method: Record = {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": {**_ADDRESS, **billing.table("address")},
            "email": billing.text("email"),
            "name": billing.text("name"),
            "phone": billing.text("phone"),
            "tax_id": None,
        },
        "created": act.now(),
        "customer": None,
        "livemode": False,
        "metadata": merged_metadata({}, params),
        "type": card.kind,
        "_sim": {"behaviour": asdict(card.behaviour)},
    }
    method[card.kind] = _sepa(card) if card.kind == "sepa_debit" else _card(card, params.table("card"))
    return act.put(method)


def _card(card: TestCard, params: Params) -> Record:
    return {
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "FR",
        "display_brand": card.brand,
        "exp_month": params.integer("exp_month", 8),
        "exp_year": params.integer("exp_year", 2034),
        "fingerprint": card.fingerprint,
        "funding": "credit",
        "generated_from": None,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _sepa(card: TestCard) -> Record:
    return {
        "bank_code": card.number[4:9],
        "branch_code": "",
        "country": card.number[:2],
        "fingerprint": card.fingerprint,
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": card.number[-4:],
    }


def resolve(act: Act, token: str, param: str = "payment_method") -> Record:
    """The payment method of an id; a test token makes a new one.

    Raises:
        ApiError: `resource_missing`.
    """
    found = act.store.find("payment_method", token)
    return found or add_payment_method(act, _card_for_token(token, param), Params({}))


def _card_for_token(token: str, param: str) -> TestCard:
    try:
        card = cards.card_for_token(token)
    except ValueError as error:
        raise invalid(str(error), param=param) from None
    if card is None:
        raise no_such("PaymentMethod", token, param)
    return card


def attach(act: Act, method: Record, customer_id: str) -> Record:
    """Give a method to a customer, told as `payment_method.attached`.

    Raises:
        ApiError: the method belongs to another customer, or there is no such customer.
    """
    act.get("customer", customer_id, "customer")
    if method["customer"] not in (None, customer_id):
        raise invalid("The payment method you provided has already been attached to a customer.")
    if method["customer"] is None:
        method["customer"] = customer_id
        act.put(method, "payment_method.attached")
    return method


def detach(act: Act, method: Record) -> Record:
    """Take a method from its customer; it is no longer anybody's default."""
    owner = act.store.find("customer", method["customer"]) if method["customer"] else None
    if owner is None:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    if owner["invoice_settings"]["default_payment_method"] == method["id"]:
        settings = {**owner["invoice_settings"], "default_payment_method": None}
        act.change(owner, "customer.updated", invoice_settings=settings)
    for subscription in act.store.oldest_first("subscription"):
        if subscription["default_payment_method"] == method["id"]:
            act.change(subscription, "customer.subscription.updated", default_payment_method=None)
    previous = {"customer": method["customer"]}
    method["customer"] = None
    act.put(method)
    act.emit("payment_method.detached", method, previous)
    return method


def of_customer(act: Act, customer_id: str) -> list[Record]:
    """A customer's methods, newest first."""
    return [row for row in act.store.newest_first("payment_method") if row["customer"] == customer_id]


def list_of_customer(call: Call, customer_id: str) -> Record:
    return call.page("payment_method", "type", where=lambda row: bool(row["customer"] == customer_id))


def set_behaviour(act: Act, method: Record, behaviour: Behaviour) -> Record:
    """From now on the method behaves like this; Stripe's callers see no difference."""
    method["_sim"] = {**method["_sim"], "behaviour": asdict(behaviour)}
    return act.put(method)


def behaviour_of(method: Record) -> Behaviour:
    return Behaviour(**method["_sim"]["behaviour"])


@routes.post("/v1/payment_methods")
def create_payment_method(call: Call) -> Record:
    params = call.params
    card, sepa = params.table("card"), params.table("sepa_debit")
    if params.text("payment_method"):
        return resolve(call.act, params.required("payment_method"))
    if params.required("type") == "sepa_debit":
        return add_payment_method(call.act, cards.account_for_iban(sepa.required("iban")), params)
    if token := card.text("token"):
        return add_payment_method(call.act, _card_for_token(token, "card[token]"), params)
    return add_payment_method(call.act, cards.card_for_number(card.required("number")), params)


@routes.get("/v1/payment_methods")
def list_payment_methods(call: Call) -> Record:
    return call.page("payment_method", "type", "customer")


@routes.get("/v1/payment_methods/{id}")
def get_payment_method(call: Call) -> Record:
    return call.act.get("payment_method", call.id)


@routes.post("/v1/payment_methods/{id}")
def update_payment_method(call: Call) -> Record:
    method = call.act.get("payment_method", call.id)
    fields: Record = {"metadata": merged_metadata(method["metadata"], call.params)}
    expiry = call.params.table("card")
    if method["type"] == "card" and expiry:
        numbers = {name: expiry.integer(name) for name in ("exp_month", "exp_year") if name in expiry}
        fields["card"] = {**method["card"], **numbers}
    return call.act.change(method, "payment_method.updated", **fields)


@routes.post("/v1/payment_methods/{id}/attach")
def attach_payment_method(call: Call) -> Record:
    return attach(call.act, resolve(call.act, call.id, "id"), call.params.required("customer"))


@routes.post("/v1/payment_methods/{id}/detach")
def detach_payment_method(call: Call) -> Record:
    return detach(call.act, call.act.get("payment_method", call.id))
