"""Charges, and the error that a failed one leaves on its payment intent."""

from libs.devstack.stripe_simulator import blanks, cards
from libs.devstack.stripe_simulator.errors import DOC_URL
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Act, frozen, new_id


def add_charge(
    act: Act, invoice: Record, method: Record, *, status: str, decline_code: str | None = None
) -> Record:
    """A charge of what is due: `succeeded`, `failed` or `pending`; nothing is told."""
    succeeded = status == "succeeded"
    charge: Record = {
        "id": new_id("ch"),
        "object": "charge",
        **frozen(blanks.CHARGE),
        "amount": invoice["amount_due"],
        "amount_captured": invoice["amount_due"] if succeeded else 0,
        "balance_transaction": new_id("txn") if succeeded else None,
        "billing_details": method["billing_details"],
        "captured": succeeded,
        "created": act.now(),
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "description": f"Invoice {invoice['number']}",
        "failure_code": cards.code_of(decline_code) if decline_code else None,
        "failure_message": cards.message_of(decline_code) if decline_code else None,
        "metadata": {},
        "outcome": _outcome(decline_code),
        "paid": succeeded,
        "payment_intent": invoice["_sim"]["payment_intent"],
        "payment_method": method["id"],
        "payment_method_details": {"type": method["type"], method["type"]: _details(method)},
        "status": status,
        "_sim": {"invoice": invoice["id"]},
    }
    invoice["_sim"] = {**invoice["_sim"], "charge": charge["id"]}
    return act.put(charge)


def _details(method: Record) -> Record:
    details = method[method["type"]]
    names = ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "bank_code")
    return {name: details[name] for name in names if name in details}


def _outcome(decline_code: str | None) -> Record:
    declined = decline_code is not None
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if declined else "approved_by_network",
        "reason": decline_code,
        "risk_level": "normal",
        "seller_message": "The bank declined the payment." if declined else "Payment complete.",
        "type": "issuer_declined" if declined else "authorized",
    }


def last_payment_error(method: Record, charge: Record | None, decline_code: str) -> Record:
    """`payment_intent.last_payment_error`."""
    code = cards.code_of(decline_code)
    return {
        "advice_code": None,
        "charge": charge["id"] if charge else None,
        "code": code,
        "decline_code": decline_code,
        "doc_url": DOC_URL.format(code.replace("_", "-")),
        "message": cards.message_of(decline_code),
        "payment_method": {key: value for key, value in method.items() if key != "_sim"},
        "type": "card_error",
    }
