"""`/v1/invoiceitems`."""

from libs.devstack.stripe_simulator import blanks
from libs.devstack.stripe_simulator.api import Call, Routes
from libs.devstack.stripe_simulator.errors import invalid
from libs.devstack.stripe_simulator.forms import merged_metadata
from libs.devstack.stripe_simulator.resources.invoices import add_item_line
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import frozen, new_id

routes = Routes()


@routes.post("/v1/invoiceitems")
def create_invoice_item(call: Call) -> Record:
    act, params = call.act, call.params
    customer = act.get("customer", params.required("customer"), "customer")
    item: Record = {
        "id": new_id("ii"),
        "object": "invoiceitem",
        **frozen(blanks.INVOICE_ITEM),
        "amount": params.integer("amount", 0),
        "created": act.now(),
        "currency": params.text("currency", "eur"),
        "customer": customer["id"],
        "date": act.now(),
        "description": params.text("description"),
        "metadata": merged_metadata({}, params),
        "period": {"start": act.now(), "end": act.now()},
        "quantity": params.integer("quantity", 1),
        "quantity_decimal": str(params.integer("quantity", 1)),
    }
    act.put(item)
    if invoice_id := params.text("invoice"):
        _put_on_draft(call, act.get("invoice", invoice_id, "invoice"), item)
    act.emit("invoiceitem.created", item)
    return item


def _put_on_draft(call: Call, invoice: Record, item: Record) -> None:
    if invoice["status"] != "draft":
        raise invalid("The invoice is not a draft.", param="invoice")
    add_item_line(call, invoice, item)


@routes.get("/v1/invoiceitems")
def list_invoice_items(call: Call) -> Record:
    return call.page("invoiceitem", "customer", "invoice")


@routes.get("/v1/invoiceitems/{id}")
def get_invoice_item(call: Call) -> Record:
    return call.act.get("invoiceitem", call.id)


@routes.delete("/v1/invoiceitems/{id}")
def delete_invoice_item(call: Call) -> Record:
    item = call.act.get("invoiceitem", call.id)
    if item["invoice"] is not None:
        raise invalid("This item is on an invoice already.")
    call.act.emit("invoiceitem.deleted", item)
    call.act.store.delete("invoiceitem", call.id)
    return {"id": call.id, "object": "invoiceitem", "deleted": True}
