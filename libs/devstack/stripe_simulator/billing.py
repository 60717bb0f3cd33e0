"""The life of an invoice: made, finalized, closed."""

from libs.devstack.stripe_simulator import blanks
from libs.devstack.stripe_simulator.errors import invalid
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Act, frozen, new_id

_NO_TRANSITIONS = {"finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None}


def add_invoice(
    act: Act,
    customer: Record,
    *,
    billing_reason: str,
    period: tuple[int, int],
    currency: str = "eur",
    collection_method: str = "charge_automatically",
    days_until_due: int | None = None,
    metadata: dict[str, str] | None = None,
    subscription: Record | None = None,
    description: str | None = None,
    auto_advance: bool = True,
) -> Record:
    """A draft without lines; `add_line` fills it. Nothing is told."""
    is_sent = collection_method == "send_invoice"
    invoice: Record = {
        "id": new_id("in"),
        "object": "invoice",
        **frozen(blanks.INVOICE),
        "auto_advance": auto_advance,
        "billing_reason": billing_reason,
        "collection_method": collection_method,
        "created": act.now(),
        "currency": currency,
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_tax_exempt": customer["tax_exempt"],
        "description": description,
        "due_date": act.now() + 86_400 * (days_until_due or 30) if is_sent else None,
        "metadata": metadata or {},
        "parent": _parent(subscription),
        "period_end": period[1],
        "period_start": period[0],
        "status": "draft",
        "status_transitions": dict(_NO_TRANSITIONS),
        "test_clock": customer["test_clock"],
        "webhooks_delivered_at": act.now(),
        "_sim": {
            "payment_intent": None,
            "charge": None,
            "paid_out_of_band": False,
            "declined_hard": False,
            "subscription": subscription["id"] if subscription else None,
        },
    }
    invoice["lines"]["url"] = f"/v1/invoices/{invoice['id']}/lines"
    return act.put(invoice)


def _parent(subscription: Record | None) -> Record | None:
    if subscription is None:
        return None
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    return {"type": "subscription_details", "quote_details": None, "subscription_details": details}


def add_line(
    act: Act,
    invoice: Record,
    *,
    amount: int,
    description: str,
    period: tuple[int, int],
    quantity: int = 1,
    price: Record | None = None,
    parent: Record | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    """One more line on a draft; the totals follow."""
    line: Record = {
        "id": new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": invoice["currency"],
        "description": description,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": False,
        "metadata": metadata or {},
        "parent": parent,
        "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [],
        "pricing": _pricing(price) if price else None,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subtotal": amount,
        "taxes": [],
    }
    lines = [*invoice["lines"]["data"], line]
    total = sum(row["amount"] for row in lines)
    invoice["lines"] = {**invoice["lines"], "data": lines, "total_count": len(lines)}
    invoice.update(
        dict.fromkeys(("subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"), total)
    )
    invoice.update(amount_due=total, amount_remaining=total)
    act.put(invoice)


def _pricing(price: Record) -> Record:
    details = {"price": price["id"], "product": price["product"]}
    return {
        "type": "price_details",
        "price_details": details,
        "unit_amount_decimal": str(price["unit_amount"]),
    }


def finalize(act: Act, invoice: Record) -> Record:
    """Draft to open: a number, a page, a payment intent; nothing to pay is paid at once.

    Raises:
        ApiError: 400 when it is not a draft.
    """
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    customer = act.get("customer", invoice["customer"], "customer")
    sequence = customer["next_invoice_sequence"]
    act.change(customer, next_invoice_sequence=sequence + 1)
    page = f"{act.settings.public_url}/facture/{invoice['id']}"
    act.change(
        invoice,
        status="open",
        number=f"{customer['invoice_prefix']}-{sequence:04d}",
        hosted_invoice_url=page,
        invoice_pdf=f"{page}/pdf",
        ending_balance=0,
        effective_at=act.now(),
        next_payment_attempt=act.now() if _is_charged_automatically(invoice) else None,
        status_transitions={**invoice["status_transitions"], "finalized_at": act.now()},
    )
    if invoice["amount_due"] > 0:
        _add_payment_intent(act, invoice)
    act.emit("invoice.finalized", invoice)
    if invoice["amount_due"] <= 0:
        close(act, invoice, "paid")
        act.emit("invoice.paid", invoice)
        act.emit("invoice.payment_succeeded", invoice)
    return invoice


def _is_charged_automatically(invoice: Record) -> bool:
    return bool(invoice["collection_method"] == "charge_automatically" and invoice["auto_advance"])


def _add_payment_intent(act: Act, invoice: Record) -> None:
    key = new_id("pi")
    intent: Record = {
        "id": key,
        "object": "payment_intent",
        **frozen(blanks.PAYMENT_INTENT),
        "amount": invoice["amount_due"],
        "client_secret": f"{key}_secret_simulated",
        "created": act.now(),
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "description": invoice["description"],
        "metadata": {},
        "status": "requires_payment_method",
        "_sim": {"invoice": invoice["id"]},
    }
    invoice["_sim"] = {**invoice["_sim"], "payment_intent": key}
    act.put(invoice)
    act.put(intent, "payment_intent.created")
    _add_invoice_payment(act, invoice, key)


def _add_invoice_payment(act: Act, invoice: Record, intent_id: str) -> None:
    act.put(
        {
            "id": new_id("inpay"),
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": invoice["amount_due"],
            "created": act.now(),
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": False,
            "payment": {"payment_intent": intent_id, "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        }
    )


def stop_collecting(act: Act, invoice: Record) -> None:
    """No more automatic attempts on an open invoice."""
    act.change(invoice, "invoice.updated", auto_advance=False, next_payment_attempt=None)


_TRANSITIONS = {"paid": "paid_at", "void": "voided_at", "uncollectible": "marked_uncollectible_at"}


def close(act: Act, invoice: Record, status: str) -> Record:
    """To `paid`, `void` or `uncollectible`, silently; what is told about it differs."""
    transitions = {**invoice["status_transitions"], _TRANSITIONS[status]: act.now()}
    fields: Record = {}
    if status == "paid":
        fields = {"amount_paid": invoice["amount_due"], "amount_remaining": 0, "attempted": True}
    return act.change(
        invoice, status=status, status_transitions=transitions, next_payment_attempt=None, **fields
    )


def payment_intent_of(act: Act, invoice: Record) -> Record | None:
    key = invoice["_sim"]["payment_intent"]
    return act.store.find("payment_intent", key) if key else None


def invoice_payment_of(act: Act, invoice: Record) -> Record | None:
    rows = act.store.newest_first("invoice_payment")
    return next((row for row in rows if row["invoice"] == invoice["id"]), None)


def subscription_of(act: Act, invoice: Record) -> Record | None:
    key = invoice["_sim"]["subscription"]
    return act.store.find("subscription", key) if key else None
