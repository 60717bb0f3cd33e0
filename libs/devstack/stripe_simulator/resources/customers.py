"""`/v1/customers`."""

from libs.devstack.stripe_simulator import blanks
from libs.devstack.stripe_simulator.api import Call, Routes
from libs.devstack.stripe_simulator.billing import stop_collecting
from libs.devstack.stripe_simulator.forms import Params, merged_metadata
from libs.devstack.stripe_simulator.resources.payment_methods import attach, list_of_customer, resolve
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.subscriptions import cancel
from libs.devstack.stripe_simulator.world import Act, frozen, new_id

routes = Routes()

_TEXTS = ("description", "email", "name", "phone", "tax_exempt")


def add_customer(act: Act, params: Params) -> Record:
    """A new customer, told as `customer.created`."""
    key = new_id("cus")
    customer: Record = {
        "id": key,
        "object": "customer",
        **frozen(blanks.CUSTOMER),
        "address": dict(params.table("address")) or None,
        "balance": params.integer("balance", 0),
        "created": act.now(),
        "description": params.text("description"),
        "email": params.text("email"),
        "invoice_prefix": key[-8:].upper(),
        "metadata": merged_metadata({}, params),
        "name": params.text("name"),
        "phone": params.text("phone"),
        "preferred_locales": params.texts("preferred_locales"),
        "tax_exempt": params.text("tax_exempt", "none"),
        "test_clock": params.text("test_clock"),
    }
    act.put(customer)
    if token := params.text("payment_method"):
        attach(act, resolve(act, token), key)
    customer["invoice_settings"] = _invoice_settings(act, customer, params)
    return act.put(customer, "customer.created")


def change_customer(act: Act, customer: Record, params: Params) -> Record:
    """The changes asked for, told as `customer.updated`."""
    fields: Record = {name: params.text(name) for name in _TEXTS if name in params}
    if "address" in params:
        fields["address"] = dict(params.table("address")) or None
    if "balance" in params:
        fields["balance"] = params.integer("balance")
    fields["metadata"] = merged_metadata(customer["metadata"], params)
    fields["invoice_settings"] = _invoice_settings(act, customer, params)
    return act.change(customer, "customer.updated", **fields)


def _invoice_settings(act: Act, customer: Record, params: Params) -> Record:
    asked = params.table("invoice_settings")
    settings: Record = dict(customer["invoice_settings"])
    if "default_payment_method" in asked:
        token = asked.text("default_payment_method")
        method = resolve(act, token, "invoice_settings[default_payment_method]") if token else None
        settings["default_payment_method"] = method["id"] if method else None
        if method and method["customer"] is None:
            attach(act, method, customer["id"])
    return settings


@routes.post("/v1/customers")
def create_customer(call: Call) -> Record:
    return add_customer(call.act, call.params)


@routes.get("/v1/customers")
def list_customers(call: Call) -> Record:
    return call.page("customer", "email")


@routes.get("/v1/customers/{id}")
def get_customer(call: Call) -> Record:
    deleted = call.act.store.find("_deleted", call.id)
    return _gone(call.id) if deleted else call.act.get("customer", call.id)


@routes.post("/v1/customers/{id}")
def update_customer(call: Call) -> Record:
    return change_customer(call.act, call.act.get("customer", call.id), call.params)


@routes.delete("/v1/customers/{id}")
def delete_customer(call: Call) -> Record:
    customer = call.act.get("customer", call.id)
    for subscription in list(call.act.store.oldest_first("subscription")):
        if subscription["customer"] == call.id and subscription["status"] != "canceled":
            cancel(call.act, subscription)
    for invoice in list(call.act.store.oldest_first("invoice")):
        if invoice["customer"] == call.id and invoice["status"] == "open":
            stop_collecting(call.act, invoice)
    call.act.emit("customer.deleted", customer)
    call.act.store.delete("customer", call.id)
    call.act.put({"object": "_deleted", "id": call.id})
    return _gone(call.id)


@routes.get("/v1/customers/{id}/payment_methods")
def list_customer_payment_methods(call: Call) -> Record:
    call.act.get("customer", call.id)
    return list_of_customer(call, call.id)


@routes.get("/v1/customers/{id}/payment_methods/{method}")
def get_customer_payment_method(call: Call) -> Record:
    call.act.get("customer", call.id)
    return call.act.get("payment_method", call.ids["method"])


def _gone(key: str) -> Record:
    return {"id": key, "object": "customer", "deleted": True}
