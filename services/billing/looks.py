"""What became of a try, read from the live invoice and its payments: no saved answer is believed for that."""

from __future__ import annotations

from libs.integrations.stripe import Charge, ChargeOutcome, Stripe, refusal
from libs.integrations.stripe.answers import UNEXPECTED_STATE
from services.billing.domain import Attempt

FAILED_AFTER_ALL = Charge(ChargeOutcome.DECLINED, "processing_failed")


async def look(stripe: Stripe, invoice_id: str, attempt: Attempt) -> Charge | None:
    """None is the proof that this method was not charged: it did not pay, nothing is under way, and it is not
    the one that failed last. Raises what Stripe's trouble raises."""
    found = await stripe.get_unpaid(invoice_id)
    invoice, failure = found.invoice, found.last_failure
    is_ours = found.collecting_method_id == attempt.payment_method_id
    if invoice.status == "paid":
        return Charge(ChargeOutcome.SUCCEEDED if is_ours else ChargeOutcome.ALREADY_PAID, invoice=invoice)
    if invoice.status != "open":
        return Charge(ChargeOutcome.NOT_OPEN, invoice=invoice)
    if found.collecting_method_id is not None:
        return Charge(ChargeOutcome.PROCESSING, None if is_ours else UNEXPECTED_STATE, invoice)
    # One that had failed before the cycle is not in it: the plan left it out.
    if failure is not None and failure.payment_method_id == attempt.payment_method_id:
        return refusal(failure.decline_code, invoice=invoice)
    return None


async def look_at_debit(stripe: Stripe, invoice_id: str, attempt: Attempt) -> Charge:
    """One that was under way: unless it is still, or has paid, it has failed."""
    found = await look(stripe, invoice_id, attempt)
    return FAILED_AFTER_ALL if found is None or found.is_elsewhere else found
