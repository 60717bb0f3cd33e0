"""The life of a subscription: made, renewed, past due, ended."""

from libs.devstack.stripe_simulator import billing, blanks
from libs.devstack.stripe_simulator.clock import add_interval
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Act, frozen, new_id


def add_subscription(
    act: Act,
    customer: Record,
    priced: list[tuple[Record, int]],
    *,
    period: tuple[int, int],
    status: str,
    start_date: int | None = None,
    trial: tuple[int, int] | None = None,
    default_payment_method: str | None = None,
    metadata: dict[str, str] | None = None,
    collection_method: str = "charge_automatically",
    days_until_due: int | None = None,
    cancel_at_period_end: bool = False,
) -> Record:
    """A subscription to prices with quantities, told as `customer.subscription.created`."""
    key = new_id("sub")
    items = [_item(act, key, price, quantity, period) for price, quantity in priced]
    subscription: Record = {
        "id": key,
        "object": "subscription",
        **frozen(blanks.SUBSCRIPTION),
        "billing_cycle_anchor": period[1] if trial else period[0],
        "cancel_at": period[1] if cancel_at_period_end else None,
        "cancel_at_period_end": cancel_at_period_end,
        "collection_method": collection_method,
        "created": act.now(),
        "currency": priced[0][0]["currency"],
        "customer": customer["id"],
        "days_until_due": days_until_due,
        "default_payment_method": default_payment_method,
        "items": {
            "object": "list",
            "data": items,
            "has_more": False,
            "total_count": len(items),
            "url": f"/v1/subscription_items?subscription={key}",
        },
        "metadata": metadata or {},
        "start_date": start_date or act.now(),
        "status": status,
        "test_clock": customer["test_clock"],
        "trial_end": trial[1] if trial else None,
        "trial_start": trial[0] if trial else None,
        "_sim": {"trial_end_told": False},
    }
    return act.put(subscription, "customer.subscription.created")


def _item(act: Act, subscription_id: str, price: Record, quantity: int, period: tuple[int, int]) -> Record:
    return {
        "id": new_id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": act.now(),
        "current_period_end": period[1],
        "current_period_start": period[0],
        "discounts": [],
        "metadata": {},
        "plan": _plan(price),
        "price": dict(price),
        "quantity": quantity,
        "subscription": subscription_id,
        "tax_rates": [],
    }


def _plan(price: Record) -> Record:
    recurring = price["recurring"] or {"interval": "month", "interval_count": 1}
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "nickname": price["nickname"],
        "product": price["product"],
        "usage_type": "licensed",
    }


def period_end_of(subscription: Record) -> int:
    return int(subscription["items"]["data"][0]["current_period_end"])


def period_after(price: Record, start: int) -> tuple[int, int]:
    """The billing period of a price that begins at a Unix time."""
    recurring = price["recurring"] or {"interval": "month", "interval_count": 1}
    return start, add_interval(start, recurring["interval"], recurring["interval_count"])


def moved_items(subscription: Record, period: tuple[int, int]) -> Record:
    """The items with another current period."""
    dates = {"current_period_start": period[0], "current_period_end": period[1]}
    items: Record = subscription["items"]
    return {**items, "data": [{**item, **dates} for item in items["data"]]}


def add_period_invoice(
    act: Act, subscription: Record, *, billing_reason: str, is_free: bool = False, auto_advance: bool = True
) -> Record:
    """A draft for the subscription's current period, told as `invoice.created`."""
    customer = act.get("customer", subscription["customer"], "customer")
    first = subscription["items"]["data"][0]
    period = (first["current_period_start"], first["current_period_end"])
    invoice = billing.add_invoice(
        act,
        customer,
        billing_reason=billing_reason,
        period=period,
        currency=subscription["currency"],
        collection_method=subscription["collection_method"],
        days_until_due=subscription["days_until_due"],
        subscription=subscription,
        auto_advance=auto_advance,
    )
    for item in subscription["items"]["data"]:
        _add_item_line(act, invoice, subscription, item, period, is_free=is_free)
    act.emit("invoice.created", invoice)
    act.change(subscription, latest_invoice=invoice["id"])
    return invoice


def _add_item_line(
    act: Act,
    invoice: Record,
    subscription: Record,
    item: Record,
    period: tuple[int, int],
    *,
    is_free: bool,
) -> None:
    price = item["price"]
    product = act.store.find("product", price["product"])
    name = product["name"] if product else price["id"]
    details = {
        "invoice_item": None,
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": subscription["id"],
        "subscription_item": item["id"],
    }
    billing.add_line(
        act,
        invoice,
        amount=0 if is_free else price["unit_amount"] * item["quantity"],
        description=f"Période d'essai : {name}" if is_free else f"{item['quantity']} × {name}",
        period=period,
        quantity=item["quantity"],
        price=price,
        parent={
            "type": "subscription_item_details",
            "invoice_item_details": None,
            "subscription_item_details": details,
        },
        metadata=subscription["metadata"],
    )


def cancel(act: Act, subscription: Record, reason: str = "cancellation_requested") -> Record:
    """End it now, told as `customer.subscription.deleted`."""
    details = {**subscription["cancellation_details"], "reason": reason}
    now = act.now()
    act.change(subscription, status="canceled", canceled_at=now, ended_at=now, cancellation_details=details)
    act.emit("customer.subscription.deleted", subscription)
    for invoice in list(act.store.oldest_first("invoice")):
        if invoice["status"] == "open" and invoice["_sim"]["subscription"] == subscription["id"]:
            billing.stop_collecting(act, invoice)
    return subscription


def note_payment_succeeded(act: Act, invoice: Record) -> None:
    """The subscription is active again when its latest invoice is paid; the customer owes nothing more."""
    subscription = billing.subscription_of(act, invoice)
    if (
        subscription
        and subscription["latest_invoice"] == invoice["id"]
        and subscription["status"] in ("past_due", "unpaid", "incomplete")
    ):
        act.change(subscription, "customer.subscription.updated", status="active")
    _set_delinquent(act, invoice["customer"])


def note_payment_failed(act: Act, invoice: Record) -> None:
    """Past due after a failure; the final state after the last attempt of the schedule."""
    subscription = billing.subscription_of(act, invoice)
    if subscription and subscription["status"] in ("active", "trialing", "past_due"):
        is_last = invoice["next_payment_attempt"] is None
        status = act.settings.after_last_attempt if is_last else "past_due"
        if status == "canceled":
            cancel(act, subscription, "payment_failed")
        else:
            act.change(subscription, "customer.subscription.updated", status=status)
    _set_delinquent(act, invoice["customer"])


def _set_delinquent(act: Act, customer_id: str) -> None:
    customer = act.store.find("customer", customer_id)
    if customer:
        owes = any(
            row["customer"] == customer_id and row["status"] == "open" and row["attempted"]
            for row in act.store.newest_first("invoice")
        )
        act.change(customer, "customer.updated", delinquent=owes)
