"""What time brings: retries by schedule, renewals, ends of trials, and automatic attempts on demand."""

from libs.devstack.stripe_simulator import billing, payments, subscriptions
from libs.devstack.stripe_simulator.errors import locked
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Act

_TRIAL_WARNING_SECONDS = 3 * 86_400
_RENEWING = ("trialing", "active", "past_due", "unpaid")


def attempt_automatically(act: Act, invoice: Record) -> None:
    """One attempt of Stripe's own schedule, now, with the default method.

    Raises:
        ApiError: 400 when the invoice cannot be paid, 429 while somebody else pays it.
    """
    if act.world.is_locked(invoice["id"]):
        raise locked(invoice["id"])
    payments.refuse_unpayable(act, invoice)
    payments.attempt(act, invoice, payments.default_method(act, invoice), is_automatic=True)


def run_due(act: Act, until: int) -> int:
    """Do all that is due by a Unix time, oldest first, moving the clock along; how many things were done."""
    done = 0
    while found := _earliest(act, until):
        moment, record = found
        act.world.clock.advance_to(moment)
        if record["object"] == "invoice":
            attempt_automatically(act, record)
        else:
            _move_on(act, record)
        done += 1
    act.world.clock.advance_to(until)
    return done


def _earliest(act: Act, until: int) -> tuple[int, Record] | None:
    due = [
        (moment, record)
        for kind, moment_of in (("invoice", _next_attempt_at), ("subscription", _next_step_at))
        for record in act.store.oldest_first(kind)
        if (moment := moment_of(act, record)) is not None and moment <= until
    ]
    return min(due, key=lambda found: found[0], default=None)


def _next_attempt_at(act: Act, invoice: Record) -> int | None:
    if invoice["status"] != "open" or invoice["collection_method"] == "send_invoice":
        return None
    intent = billing.payment_intent_of(act, invoice)
    is_processing = intent is not None and intent["status"] == "processing"
    is_blocked = is_processing or not invoice["auto_advance"] or act.world.is_locked(invoice["id"])
    moment: int | None = invoice["next_payment_attempt"]
    return None if is_blocked else moment


def _next_step_at(_: Act, subscription: Record) -> int | None:
    if subscription["status"] not in _RENEWING:
        return None
    end = subscriptions.period_end_of(subscription)
    if subscription["status"] == "trialing" and not subscription["_sim"]["trial_end_told"]:
        return max(end - _TRIAL_WARNING_SECONDS, int(subscription["created"]))
    return end


def _move_on(act: Act, subscription: Record) -> None:
    """Warn of the end of a trial, end a subscription, or begin its next period."""
    if subscription["status"] == "trialing" and not subscription["_sim"]["trial_end_told"]:
        act.change(subscription, _sim={**subscription["_sim"], "trial_end_told": True})
        act.emit("customer.subscription.trial_will_end", subscription)
    elif subscription["cancel_at_period_end"]:
        subscriptions.cancel(act, subscription)
    elif not _ends_trial_without_method(act, subscription):
        renew(act, subscription)


def _ends_trial_without_method(act: Act, subscription: Record) -> bool:
    """A trial that ends without a payment method is paused or canceled, if the subscription says so."""
    if subscription["status"] != "trialing" or payments.method_of_subscription(act, subscription):
        return False
    behavior = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if behavior == "pause":
        act.change(subscription, status="paused")
        act.emit("customer.subscription.paused", subscription)
    elif behavior == "cancel":
        subscriptions.cancel(act, subscription, "payment_failed")
    return bool(behavior != "create_invoice")


def renew(act: Act, subscription: Record) -> Record:
    """Begin the next period: an invoice, finalized and attempted at once (Stripe waits an hour)."""
    price = subscription["items"]["data"][0]["price"]
    period = subscriptions.period_after(price, subscriptions.period_end_of(subscription))
    status = "active" if subscription["status"] == "trialing" else subscription["status"]
    items = subscriptions.moved_items(subscription, period)
    act.change(subscription, "customer.subscription.updated", items=items, status=status)
    return bill_period(act, subscription)


def bill_period(act: Act, subscription: Record) -> Record:
    """Invoice the current period and make the first automatic attempt; while `unpaid`, leave a draft."""
    is_unpaid = subscription["status"] == "unpaid"
    reason = "subscription_cycle"
    invoice = subscriptions.add_period_invoice(
        act, subscription, billing_reason=reason, auto_advance=not is_unpaid
    )
    if is_unpaid:
        return invoice
    billing.finalize(act, invoice)
    if invoice["status"] == "open" and invoice["collection_method"] == "charge_automatically":
        attempt_automatically(act, invoice)
    return invoice
