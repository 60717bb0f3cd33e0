"""What payments leave behind: `/v1/payment_intents`, `/v1/charges`, `/v1/refunds`, `/v1/disputes`,
and `/v1/setup_intents`."""

from libs.devstack.stripe_simulator.api import Call, Routes
from libs.devstack.stripe_simulator.errors import invalid
from libs.devstack.stripe_simulator.forms import merged_metadata
from libs.devstack.stripe_simulator.resources.payment_methods import attach, resolve
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Act, new_id

routes = Routes()


@routes.get("/v1/payment_intents")
def list_payment_intents(call: Call) -> Record:
    return call.page("payment_intent", "customer")


@routes.get("/v1/payment_intents/{id}")
def get_payment_intent(call: Call) -> Record:
    return call.act.get("payment_intent", call.id)


@routes.get("/v1/charges")
def list_charges(call: Call) -> Record:
    return call.page("charge", "customer", "payment_intent")


@routes.get("/v1/charges/{id}")
def get_charge(call: Call) -> Record:
    return call.act.get("charge", call.id)


@routes.post("/v1/refunds")
def create_refund(call: Call) -> Record:
    act, params = call.act, call.params
    charge = _refunded_charge(call)
    amount = params.integer("amount", charge["amount"] - charge["amount_refunded"]) or 0
    if not charge["paid"] or amount > charge["amount"] - charge["amount_refunded"]:
        raise invalid("Refund amount is greater than unrefunded amount on charge.", param="amount")
    refund: Record = {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": new_id("txn"),
        "charge": charge["id"],
        "created": act.now(),
        "currency": charge["currency"],
        "metadata": merged_metadata({}, params),
        "payment_intent": charge["payment_intent"],
        "reason": params.text("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    refunded = charge["amount_refunded"] + amount
    act.change(charge, "charge.refunded", amount_refunded=refunded, refunded=refunded == charge["amount"])
    return act.put(refund, "refund.created")


def _refunded_charge(call: Call) -> Record:
    charge_id = call.params.text("charge")
    if charge_id is None:
        intent = call.act.get("payment_intent", call.params.required("payment_intent"), "payment_intent")
        charge_id = intent["latest_charge"]
    return call.act.get("charge", charge_id or "", "charge")


@routes.get("/v1/refunds")
def list_refunds(call: Call) -> Record:
    return call.page("refund", "charge", "payment_intent")


@routes.get("/v1/refunds/{id}")
def get_refund(call: Call) -> Record:
    return call.act.get("refund", call.id)


def open_dispute(act: Act, charge: Record, reason: str) -> Record:
    """The customer's bank takes the money back, told as `charge.dispute.created`."""
    dispute: Record = {
        "id": new_id("du"),
        "object": "dispute",
        "amount": charge["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": act.now(),
        "currency": charge["currency"],
        "evidence": {},
        "evidence_details": {
            "due_by": act.now() + 7 * 86_400,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }
    act.change(charge, disputed=True, dispute=dispute["id"])
    return act.put(dispute, "charge.dispute.created")


@routes.get("/v1/disputes")
def list_disputes(call: Call) -> Record:
    return call.page("dispute", "charge", "payment_intent")


@routes.get("/v1/disputes/{id}")
def get_dispute(call: Call) -> Record:
    return call.act.get("dispute", call.id)


@routes.post("/v1/disputes/{id}/close")
def close_dispute(call: Call) -> Record:
    dispute = call.act.get("dispute", call.id)
    call.act.change(dispute, status="lost")
    call.act.emit("charge.dispute.closed", dispute)
    return dispute


@routes.post("/v1/setup_intents")
def create_setup_intent(call: Call) -> Record:
    act, params = call.act, call.params
    token = params.text("payment_method")
    key = new_id("seti")
    intent: Record = {
        "id": key,
        "object": "setup_intent",
        "client_secret": f"{key}_secret_simulated",
        "created": act.now(),
        "customer": params.text("customer"),
        "description": params.text("description"),
        "last_setup_error": None,
        "livemode": False,
        "metadata": merged_metadata({}, params),
        "next_action": None,
        "payment_method": resolve(act, token)["id"] if token else None,
        "payment_method_types": ["card"],
        "status": "requires_confirmation" if token else "requires_payment_method",
        "usage": params.text("usage", "off_session"),
    }
    act.put(intent, "setup_intent.created")
    return _confirm(act, intent) if params.flag("confirm") else intent


def _confirm(act: Act, intent: Record) -> Record:
    if intent["payment_method"] is None:
        raise invalid("You cannot confirm this SetupIntent because it's missing a payment method.")
    if intent["customer"]:
        attach(act, act.get("payment_method", intent["payment_method"]), intent["customer"])
    act.change(intent, status="succeeded")
    act.emit("setup_intent.succeeded", intent)
    return intent


@routes.post("/v1/setup_intents/{id}/confirm")
def confirm_setup_intent(call: Call) -> Record:
    intent = call.act.get("setup_intent", call.id)
    if token := call.params.text("payment_method"):
        call.act.change(intent, payment_method=resolve(call.act, token)["id"])
    return _confirm(call.act, intent)


@routes.get("/v1/setup_intents/{id}")
def get_setup_intent(call: Call) -> Record:
    return call.act.get("setup_intent", call.id)
