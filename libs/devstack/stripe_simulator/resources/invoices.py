"""`/v1/invoices` and `/v1/invoice_payments`."""

from libs.devstack.stripe_simulator import billing, payments
from libs.devstack.stripe_simulator.api import Call, Routes
from libs.devstack.stripe_simulator.errors import invalid
from libs.devstack.stripe_simulator.forms import merged_metadata
from libs.devstack.stripe_simulator.resources.payment_methods import behaviour_of, resolve
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.subscriptions import cancel

routes = Routes()

_TEXTS = ("description", "footer", "default_payment_method")


@routes.post("/v1/invoices")
def create_invoice(call: Call) -> Record:
    params, act = call.params, call.act
    customer = act.get("customer", params.required("customer"), "customer")
    subscription_id = params.text("subscription")
    invoice = billing.add_invoice(
        act,
        customer,
        billing_reason="manual",
        period=(act.now(), act.now()),
        currency=params.text("currency", "eur") or "eur",
        collection_method=params.text("collection_method") or "charge_automatically",
        days_until_due=params.integer("days_until_due"),
        metadata=merged_metadata({}, params),
        subscription=act.get("subscription", subscription_id, "subscription") if subscription_id else None,
        description=params.text("description"),
        auto_advance=params.flag("auto_advance"),
    )
    for item in list(act.store.oldest_first("invoiceitem")):
        if item["customer"] == customer["id"] and item["invoice"] is None:
            add_item_line(call, invoice, item)
    act.emit("invoice.created", invoice)
    return invoice


def add_item_line(call: Call, invoice: Record, item: Record) -> None:
    """Put an invoice item on a draft."""
    details = {"invoice_item": item["id"], "proration": False, "subscription": None}
    billing.add_line(
        call.act,
        invoice,
        amount=item["amount"],
        description=item["description"] or "",
        period=(item["period"]["start"], item["period"]["end"]),
        quantity=item["quantity"],
        parent={
            "type": "invoice_item_details",
            "invoice_item_details": details,
            "subscription_item_details": None,
        },
        metadata=item["metadata"],
    )
    call.act.change(item, invoice=invoice["id"])


@routes.get("/v1/invoices")
def list_invoices(call: Call) -> Record:
    subscription = call.params.text("subscription")

    def is_wanted(invoice: Record) -> bool:
        return subscription is None or bool(invoice["_sim"]["subscription"] == subscription)

    return call.page("invoice", "status", "customer", "collection_method", where=is_wanted)


@routes.get("/v1/invoices/{id}")
def get_invoice(call: Call) -> Record:
    return call.act.get("invoice", call.id)


@routes.get("/v1/invoices/{id}/lines")
def list_invoice_lines(call: Call) -> Record:
    lines: Record = call.act.get("invoice", call.id)["lines"]
    return lines


@routes.post("/v1/invoices/{id}")
def update_invoice(call: Call) -> Record:
    invoice = call.act.get("invoice", call.id)
    with call.act.world.sole_writer(invoice["id"]):
        fields: Record = {name: call.params.text(name) for name in _TEXTS if name in call.params}
        fields["metadata"] = merged_metadata(invoice["metadata"], call.params)
        if "auto_advance" in call.params:
            fields["auto_advance"] = call.params.flag("auto_advance")
        return call.act.change(invoice, "invoice.updated", **fields)


@routes.delete("/v1/invoices/{id}")
def delete_invoice(call: Call) -> Record:
    invoice = call.act.get("invoice", call.id)
    if invoice["status"] != "draft":
        raise invalid("You can only delete draft invoices.", is_remembered=True)
    call.act.emit("invoice.deleted", invoice)
    call.act.store.delete("invoice", call.id)
    return {"id": call.id, "object": "invoice", "deleted": True}


@routes.post("/v1/invoices/{id}/finalize")
def finalize_invoice(call: Call) -> Record:
    invoice = call.act.get("invoice", call.id)
    with call.act.world.sole_writer(invoice["id"]):
        return billing.finalize(call.act, invoice)


@routes.post("/v1/invoices/{id}/pay")
async def pay_invoice(call: Call) -> Record:
    act, params = call.act, call.params
    invoice = act.get("invoice", call.id)
    with act.world.sole_writer(invoice["id"]):
        if invoice["status"] == "draft":
            billing.finalize(act, invoice)
        payments.refuse_unpayable(act, invoice)
        if params.flag("paid_out_of_band"):
            payments.mark_paid(act, invoice, dict(invoice), out_of_band=True)
            return invoice
        method = _method_to_charge(call, invoice)
        await act.world.chaos.before_charge()
        call.is_payment = True
        call.is_answer_lost = method is not None and behaviour_of(method).loses_answer
        error = payments.attempt(act, invoice, method, is_automatic=False)
    if error:
        raise error
    return invoice


def _method_to_charge(call: Call, invoice: Record) -> Record | None:
    token = call.params.text("payment_method")
    if token is None:
        return payments.default_method(call.act, invoice)
    method = resolve(call.act, token)
    if method["customer"] is None and token != method["id"]:
        call.act.change(method, customer=invoice["customer"])
    if method["customer"] != invoice["customer"]:
        message = f"The payment method {method['id']} does not belong to the customer of this invoice."
        raise invalid(message, param="payment_method", is_remembered=True)
    return method


@routes.post("/v1/invoices/{id}/void")
def void_invoice(call: Call) -> Record:
    return _close(call, "void", "invoice.voided", ("open", "uncollectible"))


@routes.post("/v1/invoices/{id}/mark_uncollectible")
def mark_invoice_uncollectible(call: Call) -> Record:
    return _close(call, "uncollectible", "invoice.marked_uncollectible", ("open",))


def _close(call: Call, status: str, event_type: str, closable: tuple[str, ...]) -> Record:
    act, invoice = call.act, call.act.get("invoice", call.id)
    with act.world.sole_writer(invoice["id"]):
        if invoice["status"] not in closable:
            raise invalid(f"This invoice is {invoice['status']}.", is_remembered=True)
        before = {name: invoice[name] for name in ("status", "status_transitions")}
        billing.close(act, invoice, status)
        intent = billing.payment_intent_of(act, invoice)
        if status == "void" and intent:
            act.change(intent, status="canceled", canceled_at=act.now(), cancellation_reason="void_invoice")
            act.emit("payment_intent.canceled", intent)
        act.emit("invoice.updated", invoice, before)
        act.emit(event_type, invoice)
        _end_incomplete(call, invoice)
    return invoice


def _end_incomplete(call: Call, invoice: Record) -> None:
    subscription = billing.subscription_of(call.act, invoice)
    if subscription and subscription["status"] == "incomplete":
        cancel(call.act, subscription, "payment_failed")


@routes.post("/v1/invoices/{id}/send")
def send_invoice(call: Call) -> Record:
    invoice = call.act.get("invoice", call.id)
    if invoice["status"] == "draft":
        billing.finalize(call.act, invoice)
    call.act.emit("invoice.sent", invoice)
    return invoice


@routes.get("/v1/invoice_payments")
def list_invoice_payments(call: Call) -> Record:
    return call.page("invoice_payment", "invoice", "status")


@routes.get("/v1/invoice_payments/{id}")
def get_invoice_payment(call: Call) -> Record:
    return call.act.get("invoice_payment", call.id)
