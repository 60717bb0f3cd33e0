"""Facts as billing and the scheduler tell them, for tests of notifications."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from libs.common.events.billing import (
    InvoiceClosed,
    InvoicePaid,
    InvoiceUnpaid,
    LineCut,
    LineRestored,
    LineRestricted,
    MethodTried,
    OpenInvoice,
    PaymentActionRequired,
    PaymentMethodExpiring,
    PaymentRecovered,
    SubscriptionStarted,
)
from libs.common.events.scheduler import SignupStepDue, UnpaidReminderDue

AT = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
CYCLE = "2026-03-01/2026-04-01"


class Customer:
    """A company and the facts told about it."""

    def __init__(self, email: str | None = "compta@exemple.fr", *, company_id: UUID | None = None) -> None:
        self.company_id = company_id or uuid4()
        self.email = email
        self._about = {"company_id": self.company_id, "customer_name": "Éts Ménard", "customer_email": email}

    def invoice(self, invoice_id: str, *, cycle: str = CYCLE, cents: int = 4990) -> OpenInvoice:
        return OpenInvoice(
            invoice_id=invoice_id,
            number=f"F-{invoice_id}",
            amount_remaining_cents=cents,
            currency="eur",
            billing_cycle=cycle,
            issued_at=AT,
            hosted_invoice_url=f"https://invoice.example/{invoice_id}",
        )

    def unpaid(self, invoice_id: str, *others: str, **changes: Any) -> InvoiceUnpaid:
        """Unpaid; `others` are invoices open beside it."""
        open_invoices = tuple(self.invoice(i) for i in (invoice_id, *others))
        values = {
            **self._about,
            "invoice_id": invoice_id,
            "attempt_count": 1,
            "billing_cycle": CYCLE,
            "attempts": (
                MethodTried(
                    payment_method_id="pm_1",
                    label="Visa •••• 4242",
                    outcome="declined",
                    decline_code="insufficient_funds",
                ),
            ),
            "open_invoices": open_invoices,
            "unpaid_count": len(open_invoices),
            "total_due_cents": sum(i.amount_remaining_cents for i in open_invoices),
            "currency": "eur",
            "deadline_at": AT + timedelta(days=14),
            "stage": 1,
            **changes,
        }
        return InvoiceUnpaid(**values)

    def paid(self, invoice_id: str, **changes: Any) -> InvoicePaid:
        return InvoicePaid(**{**self._one(invoice_id), "paid_at": AT, **changes})

    def recovered(self, invoice_id: str) -> PaymentRecovered:
        failed = MethodTried(
            payment_method_id="pm_1", label="Visa •••• 4242", outcome="declined", decline_code="expired_card"
        )
        paid_with = MethodTried(payment_method_id="pm_2", label="Mastercard •••• 4444", outcome="paid")
        return PaymentRecovered(
            **self._one(invoice_id), attempt_count=1, paid_at=AT, failed=(failed,), paid_with=paid_with
        )

    def action_required(self, invoice_id: str) -> PaymentActionRequired:
        return PaymentActionRequired(**self._one(invoice_id), attempt_count=1)

    def card_expiring(
        self, card: str = "fp_1", expires_on: date = date(2026, 3, 31)
    ) -> PaymentMethodExpiring:
        return PaymentMethodExpiring(
            **self._about,
            stripe_customer_id="cus_1",
            card=card,
            payment_method_id="pm_1",
            label="Visa •••• 4242",
            expires_on=expires_on,
            card_url="https://billing.example/pay/c.1",
        )

    def closed(self, invoice_id: str, reason: str = "voided") -> InvoiceClosed:
        return InvoiceClosed(company_id=self.company_id, invoice_id=invoice_id, reason=reason, closed_at=AT)

    def reminder(self, invoice_id: str, *, stage: int = 2) -> UnpaidReminderDue:
        return UnpaidReminderDue(
            **self._about,
            anchor_invoice_id=invoice_id,
            stage=stage,
            due_at=AT + timedelta(days=3),
            deadline_at=AT + timedelta(days=14),
        )

    def restricted(self, *invoice_ids: str, episode: int = 1) -> LineRestricted:
        return LineRestricted(**self._line(episode), invoice_ids=invoice_ids)

    def cut(self, *invoice_ids: str, episode: int = 1) -> LineCut:
        return LineCut(**self._line(episode), invoice_ids=invoice_ids)

    def restored(self, *, episode: int = 1) -> LineRestored:
        return LineRestored(**self._line(episode))

    def _line(self, episode: int) -> dict[str, Any]:
        return {**self._about, "episode": episode, "at": AT, "policy_version": "2026-12", "why": "overdue"}

    def signup_step(self, *, expires_at: datetime | None = None) -> SignupStepDue:
        return SignupStepDue(
            company_id=self.company_id,
            step="signup_first_step",
            due_at=datetime.now(UTC),
            expires_at=expires_at or datetime.now(UTC) + timedelta(days=2),
            name="Éts Ménard",
            email=self.email or "",
        )

    def subscribed(self) -> SubscriptionStarted:
        return SubscriptionStarted(company_id=self.company_id, subscription_id="sub_1", started_at=AT)

    def _one(self, invoice_id: str) -> dict[str, Any]:
        return {
            **self._about,
            "invoice_id": invoice_id,
            "number": f"F-{invoice_id}",
            "amount_cents": 4990,
            "currency": "eur",
            "billing_cycle": CYCLE,
            "hosted_invoice_url": f"https://invoice.example/{invoice_id}",
        }
