"""`/v1/subscriptions`."""

from libs.devstack.stripe_simulator import billing, payments, schedule, subscriptions
from libs.devstack.stripe_simulator.api import Call, Routes
from libs.devstack.stripe_simulator.errors import invalid, missing_parameter
from libs.devstack.stripe_simulator.forms import merged_metadata
from libs.devstack.stripe_simulator.resources.catalog import add_price
from libs.devstack.stripe_simulator.resources.payment_methods import resolve
from libs.devstack.stripe_simulator.store import Record

routes = Routes()

_DAY_SECONDS = 86_400
_ENDED = ("canceled", "incomplete_expired")


@routes.post("/v1/subscriptions")
def create_subscription(call: Call) -> Record:
    act, params = call.act, call.params
    customer = act.get("customer", params.required("customer"), "customer")
    priced = _priced_items(call)
    trial_end = _trial_end(call)
    now = act.now()
    period = (now, trial_end) if trial_end else subscriptions.period_after(priced[0][0], now)
    subscription = subscriptions.add_subscription(
        act,
        customer,
        priced,
        period=period,
        status="trialing" if trial_end else "incomplete",
        trial=(now, trial_end) if trial_end else None,
        default_payment_method=_default_method(call),
        metadata=merged_metadata({}, params),
        collection_method=params.text("collection_method") or "charge_automatically",
        days_until_due=params.integer("days_until_due"),
        cancel_at_period_end=params.flag("cancel_at_period_end"),
    )
    if ending := params.table("trial_settings").table("end_behavior").text("missing_payment_method"):
        act.change(subscription, trial_settings={"end_behavior": {"missing_payment_method": ending}})
    _bill_first_period(call, subscription)
    return subscription


def _bill_first_period(call: Call, subscription: Record) -> None:
    """A free invoice for a trial; else the first period is charged now."""
    act, is_trial = call.act, subscription["status"] == "trialing"
    reason = "subscription_create"
    invoice = subscriptions.add_period_invoice(act, subscription, billing_reason=reason, is_free=is_trial)
    billing.finalize(act, invoice)
    if is_trial:
        return
    if invoice["status"] == "paid" or subscription["collection_method"] == "send_invoice":
        act.change(subscription, "customer.subscription.updated", status="active")
        return
    error = payments.attempt(act, invoice, payments.default_method(act, invoice), is_automatic=False)
    if error and call.params.text("payment_behavior") == "error_if_incomplete":
        raise error


def _priced_items(call: Call) -> list[tuple[Record, int]]:
    items = []
    for row in call.params.rows("items"):
        price_id = row.text("price") or row.text("plan")
        price = (
            call.act.get("price", price_id, "items[0][price]")
            if price_id
            else add_price(call.act, row.table("price_data"))
        )
        items.append((price, row.integer("quantity", 1) or 1))
    if not items:
        raise missing_parameter("items")
    return items


def _trial_end(call: Call) -> int | None:
    days = call.params.integer("trial_period_days")
    if days:
        return call.act.now() + days * _DAY_SECONDS
    return None if call.params.text("trial_end") == "now" else call.params.integer("trial_end")


def _default_method(call: Call) -> str | None:
    token = call.params.text("default_payment_method")
    return resolve(call.act, token, "default_payment_method")["id"] if token else None


@routes.get("/v1/subscriptions")
def list_subscriptions(call: Call) -> Record:
    wanted = call.params.text("status")

    def is_wanted(subscription: Record) -> bool:
        if wanted == "ended":
            return subscription["status"] in _ENDED
        is_ended = bool(subscription["status"] == "canceled")
        return wanted == "all" or (subscription["status"] == wanted if wanted else not is_ended)

    price = call.params.text("price")

    def has_price(subscription: Record) -> bool:
        return price is None or any(item["price"]["id"] == price for item in subscription["items"]["data"])

    return call.page("subscription", "customer", where=lambda row: is_wanted(row) and has_price(row))


@routes.get("/v1/subscriptions/{id}")
def get_subscription(call: Call) -> Record:
    return call.act.get("subscription", call.id)


@routes.post("/v1/subscriptions/{id}")
def update_subscription(call: Call) -> Record:
    act, params = call.act, call.params
    subscription = act.get("subscription", call.id)
    if subscription["status"] in _ENDED:
        raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
    fields: Record = {"metadata": merged_metadata(subscription["metadata"], params)}
    if "default_payment_method" in params:
        fields["default_payment_method"] = _default_method(call)
    if "cancel_at_period_end" in params:
        is_ending = params.flag("cancel_at_period_end")
        fields["cancel_at_period_end"] = is_ending
        fields["cancel_at"] = subscriptions.period_end_of(subscription) if is_ending else None
        fields["canceled_at"] = act.now() if is_ending else None
    if "pause_collection" in params:
        fields["pause_collection"] = dict(params.table("pause_collection")) or None
    if "trial_end" in params:
        fields.update(_moved_trial(call, subscription))
    if params.rows("items"):
        fields["items"] = _changed_items(call, subscription)
    return act.change(subscription, "customer.subscription.updated", **fields)


def _moved_trial(call: Call, subscription: Record) -> Record:
    end = _trial_end(call) or call.act.now()
    period = (subscription["items"]["data"][0]["current_period_start"], end)
    status = "trialing" if end > call.act.now() else subscription["status"]
    return {"trial_end": end, "items": subscriptions.moved_items(subscription, period), "status": status}


def _changed_items(call: Call, subscription: Record) -> Record:
    """The first item with another price or quantity; prorations are not simulated."""
    row = call.params.rows("items")[0]
    first, *others = subscription["items"]["data"]
    price_id = row.text("price")
    price = call.act.get("price", price_id, "items[0][price]") if price_id else first["price"]
    changed = {**first, "price": dict(price), "quantity": row.integer("quantity", first["quantity"])}
    return {**subscription["items"], "data": [changed, *others]}


@routes.delete("/v1/subscriptions/{id}")
def cancel_subscription(call: Call) -> Record:
    subscription = call.act.get("subscription", call.id)
    if subscription["status"] in _ENDED:
        raise invalid(f"No such subscription: '{call.id}'", code="resource_missing", param="id")
    return subscriptions.cancel(call.act, subscription)


@routes.post("/v1/subscriptions/{id}/resume")
def resume_subscription(call: Call) -> Record:
    subscription = call.act.get("subscription", call.id)
    if subscription["status"] != "paused":
        raise invalid("This subscription is not paused.")
    price = subscription["items"]["data"][0]["price"]
    period = subscriptions.period_after(price, call.act.now())
    items = subscriptions.moved_items(subscription, period)
    call.act.change(subscription, status="active", items=items)
    call.act.emit("customer.subscription.resumed", subscription)
    schedule.bill_period(call.act, subscription)
    return subscription
