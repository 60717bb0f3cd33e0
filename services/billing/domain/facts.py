"""The facts that billing tells, made from what it knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.events.billing import InvoicePaid, MethodTried, PaymentRecovered
from libs.integrations.stripe import Invoice
from services.billing.domain.attempts import Attempt, AttemptState

LAST_STAGE = 3


def stage_of(unpaid_count: int) -> int:
    """Which of the unpaid notices is due: one more unpaid invoice is one stage higher, up to the last."""
    return max(1, min(LAST_STAGE, unpaid_count))


def deadline_of(opened_at: datetime, deadline_days: int) -> datetime:
    """By when the earliest unpaid invoice must be settled."""
    return opened_at + timedelta(days=deadline_days)


def tried(attempts: Sequence[Attempt]) -> tuple[MethodTried, ...]:
    return tuple(
        MethodTried(
            payment_method_id=attempt.payment_method_id,
            label=attempt.label,
            outcome=attempt.why or attempt.state,
            decline_code=attempt.decline_code,
        )
        for attempt in attempts
    )


def invoice_paid(
    invoice: Invoice, company_id: UUID, name: str, email: str | None, *, now: datetime, is_recovered: bool
) -> InvoicePaid:
    return InvoicePaid(
        company_id=company_id,
        invoice_id=invoice.id,
        number=invoice.number,
        amount_cents=invoice.amount_paid or invoice.amount_due,
        currency=invoice.currency,
        paid_at=invoice.paid_at or now,
        billing_cycle=invoice.billing_cycle,
        hosted_invoice_url=invoice.hosted_invoice_url,
        customer_name=name,
        customer_email=email,
        is_recovered=is_recovered,
    )


def payment_recovered(paid: InvoicePaid, attempt_count: int, attempts: Sequence[Attempt]) -> PaymentRecovered:
    """Which methods failed before, and the one that paid. Raises StopIteration if none did."""
    paying = next(a for a in attempts if a.state is AttemptState.SUCCEEDED)
    failed = [a for a in attempts if a.position < paying.position or a.why == "just_failed"]
    return PaymentRecovered(
        **paid.model_dump(exclude={"is_recovered"}),
        attempt_count=attempt_count,
        failed=tried([a for a in failed if a is not paying]),
        paid_with=tried([paying])[0],
    )
