"""One attempt to collect an invoice, and all that it sets off. Every attempt is noted in the ledger."""

from libs.devstack.stripe_simulator import billing, cards
from libs.devstack.stripe_simulator.cards import Behaviour
from libs.devstack.stripe_simulator.charges import add_charge, last_payment_error
from libs.devstack.stripe_simulator.errors import ApiError, invalid
from libs.devstack.stripe_simulator.resources.payment_methods import behaviour_of, of_customer
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.subscriptions import note_payment_failed, note_payment_succeeded
from libs.devstack.stripe_simulator.world import Act, new_id, previous_attributes

_DAY_SECONDS = 86_400


def default_method(act: Act, invoice: Record) -> Record | None:
    """The one method that Stripe's own schedule charges: the invoice's, the subscription's, the customer's,
    else the first that was saved."""
    if invoice["default_payment_method"]:
        return act.store.find("payment_method", invoice["default_payment_method"])
    subscription = billing.subscription_of(act, invoice)
    if subscription:
        return method_of_subscription(act, subscription)
    return _method_of_customer(act, invoice["customer"])


def method_of_subscription(act: Act, subscription: Record) -> Record | None:
    """The subscription's default method, else its customer's."""
    if subscription["default_payment_method"]:
        return act.store.find("payment_method", subscription["default_payment_method"])
    return _method_of_customer(act, subscription["customer"])


def _method_of_customer(act: Act, customer_id: str) -> Record | None:
    customer = act.get("customer", customer_id, "customer")
    default = customer["invoice_settings"]["default_payment_method"]
    if default:
        return act.store.find("payment_method", default)
    saved = of_customer(act, customer_id)
    return saved[-1] if saved else None


def refuse_unpayable(act: Act, invoice: Record) -> None:
    """Raises:
    ApiError: 400 for an invoice that is paid (`invoice_already_paid`), closed, or being paid.
    """
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid", code="invoice_already_paid", is_remembered=True)
    if invoice["status"] not in ("open", "uncollectible"):
        message = f"This invoice can't be paid: its status is {invoice['status']}."
        raise invalid(message, code="invoice_not_editable", is_remembered=True)
    intent = billing.payment_intent_of(act, invoice)
    if intent and intent["status"] == "processing":
        message = "A payment of this invoice is processing: it can't be paid again before it has ended."
        raise invalid(message, code="payment_intent_unexpected_state", is_remembered=True)


def attempt(act: Act, invoice: Record, method: Record | None, *, is_automatic: bool) -> ApiError | None:
    """Charge an open invoice once; what a caller is told when it did not work.

    None means paid, or `processing`. The invoice, its payment intent and its subscription change, and all
    events are told in Stripe's order.
    """
    before = dict(invoice)
    _count(act, invoice, is_automatic=is_automatic)
    if method is None:
        return _without_method(act, invoice, before)
    if is_automatic and invoice["_sim"]["declined_hard"]:
        _tell_failed(act, invoice, before)  # Stripe goes on counting after a hard decline, without a charge.
        return None
    behaviour = behaviour_of(method)
    outcomes = {"pay": _pay, "decline": _decline, "authenticate": _authenticate, "process": _process}
    error, charge = outcomes[behaviour.outcome](act, invoice, method, before, behaviour)
    _note(act, invoice, method, behaviour, charge, is_automatic=is_automatic)
    return error


_Outcome = tuple[ApiError | None, Record | None]


def _pay(act: Act, invoice: Record, method: Record, before: Record, _: Behaviour) -> _Outcome:
    charge = add_charge(act, invoice, method, status="succeeded")
    _succeed(act, invoice, charge, before)
    return None, charge


def _succeed(act: Act, invoice: Record, charge: Record, before: Record) -> None:
    intent = _intent(act, invoice)
    act.emit("charge.succeeded", charge)
    act.change(
        intent,
        status="succeeded",
        amount_received=intent["amount"],
        latest_charge=charge["id"],
        payment_method=charge["payment_method"],
        last_payment_error=None,
        next_action=None,
    )
    act.emit("payment_intent.succeeded", intent)
    mark_paid(act, invoice, before)


def mark_paid(act: Act, invoice: Record, before: Record, *, out_of_band: bool = False) -> None:
    """The invoice is paid: by a charge, or by other means than Stripe."""
    billing.close(act, invoice, "paid")
    payment = billing.invoice_payment_of(act, invoice)
    if out_of_band:
        invoice["_sim"] = {**invoice["_sim"], "paid_out_of_band": True}
        act.put(invoice)
    elif payment:
        transitions = {**payment["status_transitions"], "paid_at": act.now()}
        amount = invoice["amount_paid"]
        act.change(payment, status="paid", amount_paid=amount, status_transitions=transitions)
        act.emit("invoice_payment.paid", payment)
    act.emit("invoice.updated", invoice, previous_attributes(before, invoice))
    act.emit("invoice.paid", invoice)
    act.emit("invoice.payment_succeeded", invoice)
    note_payment_succeeded(act, invoice)


def _decline(act: Act, invoice: Record, method: Record, before: Record, behaviour: Behaviour) -> _Outcome:
    code = behaviour.decline_code or "generic_decline"
    charge = add_charge(act, invoice, method, status="failed", decline_code=code)
    _fail(act, invoice, method, charge, code=code, before=before)
    return _card_error(act, invoice, method, charge, code), charge


def _fail(act: Act, invoice: Record, method: Record, charge: Record, *, code: str, before: Record) -> None:
    invoice["_sim"] = {**invoice["_sim"], "declined_hard": code in cards.HARD_DECLINES}
    act.emit("charge.failed", charge)
    intent = act.change(
        _intent(act, invoice),
        status="requires_payment_method",
        latest_charge=charge["id"],
        payment_method=None,
        last_payment_error=last_payment_error(method, charge, code),
    )
    act.emit("payment_intent.payment_failed", intent)
    _tell_failed(act, invoice, before)


def _tell_failed(act: Act, invoice: Record, before: Record) -> None:
    act.put(invoice, "invoice.payment_failed")
    act.emit("invoice.updated", invoice, previous_attributes(before, invoice))
    note_payment_failed(act, invoice)


def _authenticate(act: Act, invoice: Record, method: Record, before: Record, _: Behaviour) -> _Outcome:
    code = "authentication_required"
    intent = act.change(
        _intent(act, invoice),
        status="requires_action",
        payment_method=method["id"],
        last_payment_error=last_payment_error(method, None, code),
        next_action={"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}},
    )
    invoice["_sim"] = {**invoice["_sim"], "declined_hard": True}
    act.emit("payment_intent.requires_action", intent)
    act.put(invoice, "invoice.payment_action_required")
    _tell_failed(act, invoice, before)
    return _card_error(act, invoice, method, None, code), None


def _process(act: Act, invoice: Record, method: Record, before: Record, _: Behaviour) -> _Outcome:
    charge = add_charge(act, invoice, method, status="pending")
    intent = act.change(
        _intent(act, invoice),
        status="processing",
        latest_charge=charge["id"],
        payment_method=method["id"],
        last_payment_error=None,
        next_action=None,
    )
    act.emit("charge.pending", charge)
    act.emit("payment_intent.processing", intent)
    act.put(invoice)
    act.emit("invoice.updated", invoice, previous_attributes(before, invoice))
    return None, charge


def settle(act: Act, invoice: Record, *, succeeds: bool, decline_code: str = "generic_decline") -> None:
    """End a payment that was `processing`.

    Raises:
        ApiError: 400 when none is.
    """
    intent = billing.payment_intent_of(act, invoice)
    if intent is None or intent["status"] != "processing":
        raise invalid(f"No payment of {invoice['id']} is processing.")
    before = dict(invoice)
    charge = act.get("charge", intent["latest_charge"])
    if succeeds:
        act.change(charge, status="succeeded", paid=True, captured=True, amount_captured=charge["amount"])
        _succeed(act, invoice, charge, before)
    else:
        message = cards.message_of(decline_code)
        act.change(charge, status="failed", failure_code=cards.code_of(decline_code), failure_message=message)
        method = act.get("payment_method", charge["payment_method"])
        _fail(act, invoice, method, charge, code=decline_code, before=before)


def _without_method(act: Act, invoice: Record, before: Record) -> ApiError:
    _tell_failed(act, invoice, before)
    return invalid(
        "There is no `default_payment_method` set on this Customer or Invoice. "
        "Please set a default payment method, or pass one.",
        code="invoice_no_payment_method",
        is_remembered=True,
    )


def _count(act: Act, invoice: Record, *, is_automatic: bool) -> None:
    """Raise `attempt_count` for the first and the automatic attempts, and plan the next one."""
    count = invoice["attempt_count"]
    if is_automatic or count == 0 or act.settings.manual_attempts_count:
        days = act.settings.retry_schedule_days[count : count + 1]
        invoice["attempt_count"] = count + 1
        invoice["next_payment_attempt"] = act.now() + days[0] * _DAY_SECONDS if days else None
    invoice["attempted"] = True
    if invoice["collection_method"] == "send_invoice":
        invoice["next_payment_attempt"] = None
    act.put(invoice)


def _note(
    act: Act,
    invoice: Record,
    method: Record,
    behaviour: Behaviour,
    charge: Record | None,
    *,
    is_automatic: bool,
) -> None:
    act.put(
        {
            "object": "_attempt",
            "id": new_id("att"),
            "at": act.now(),
            "invoice": invoice["id"],
            "customer": invoice["customer"],
            "payment_method": method["id"],
            "fingerprint": method[method["type"]]["fingerprint"],
            "attempt_count": invoice["attempt_count"],
            "is_automatic": is_automatic,
            "idempotency_key": act.cause.idempotency_key,
            "outcome": behaviour.outcome,
            "decline_code": behaviour.decline_code,
            "charge": charge["id"] if charge else None,
        }
    )


def _intent(act: Act, invoice: Record) -> Record:
    intent = billing.payment_intent_of(act, invoice)
    if intent is None:
        raise invalid(f"Invoice {invoice['id']} has nothing to pay.")
    return intent


def _card_error(act: Act, invoice: Record, method: Record, charge: Record | None, code: str) -> ApiError:
    intent = _intent(act, invoice)
    shown_intent = {key: value for key, value in intent.items() if key != "_sim"}
    shown_method = {key: value for key, value in method.items() if key != "_sim"}
    return ApiError(
        402,
        "card_error",
        cards.message_of(code),
        is_remembered=True,
        code=cards.code_of(code),
        decline_code=code,
        charge=charge["id"] if charge else None,
        payment_intent=shown_intent,
        payment_method=shown_method,
    )
