"""Facts as billing and the scheduler tell them, for tests of notifications."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from libs.common.events.billing import (
    DisputeClosed,
    DisputeOpened,
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
    SubscriptionCanceled,
    SubscriptionChanged,
    SubscriptionStarted,
)
from libs.common.events.directory import NumberAssigned, NumberReleased
from libs.common.events.scheduler import (
    CutoffWarningDue,
    NumberReleaseWarningDue,
    SignupStepDue,
    TrialEnded,
    TrialEndingSoon,
    UnpaidReminderDue,
)

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

    def cutoff_warning(self, invoice_id: str, *, cutoff_at: datetime | None = None) -> CutoffWarningDue:
        return CutoffWarningDue(
            **self._about,
            anchor_invoice_id=invoice_id,
            cutoff_at=cutoff_at or datetime.now(UTC) + timedelta(days=2),
        )

    def signup_step(
        self, step: str = "signup_first_step", *, expires_at: datetime | None = None
    ) -> SignupStepDue:
        return SignupStepDue(
            company_id=self.company_id,
            step=step,
            due_at=datetime.now(UTC),
            expires_at=expires_at or datetime.now(UTC) + timedelta(days=2),
            name="Éts Ménard",
            email=self.email or "",
        )

    def subscribed(
        self, subscription_id: str = "sub_1", *, at: datetime = AT, plan: str | None = "Pro"
    ) -> SubscriptionStarted:
        return SubscriptionStarted(
            company_id=self.company_id, subscription_id=subscription_id, started_at=at, plan=plan
        )

    def changed(self, *, at: datetime = AT, **changes: Any) -> SubscriptionChanged:
        values = {
            "subscription_id": "sub_1",
            "status": "active",
            "plan": "Pro",
            "previous_plan": "Solo",
            "changed_at": at,
            **changes,
        }
        return SubscriptionChanged(company_id=self.company_id, **values)

    def canceled(self, subscription_id: str = "sub_1", *, at: datetime = AT) -> SubscriptionCanceled:
        return SubscriptionCanceled(
            company_id=self.company_id, subscription_id=subscription_id, canceled_at=at
        )

    def trial_ending_soon(self, days: int = 3, *, ends_at: datetime | None = None) -> TrialEndingSoon:
        return TrialEndingSoon(
            **self._about,
            subscription_id="sub_1",
            days=days,
            trial_ends_at=ends_at or datetime.now(UTC) + timedelta(days=days),
            plan="Pro",
        )

    def trial_ended(self) -> TrialEnded:
        return TrialEnded(**self._about, subscription_id="sub_1", trial_ended_at=AT, plan="Pro")

    def assigned(self, number: str = "+33140000000", *, at: datetime = AT) -> NumberAssigned:
        return NumberAssigned(company_id=self.company_id, number=number, assigned_at=at)

    def release_warning(
        self, number: str = "+33140000000", *, release_at: datetime | None = None
    ) -> NumberReleaseWarningDue:
        release_at = release_at or datetime.now(UTC) + timedelta(days=7)
        return NumberReleaseWarningDue(**self._about, number=number, release_at=release_at)

    def released(self, number: str = "+33140000000", *, at: datetime = AT) -> NumberReleased:
        return NumberReleased(
            company_id=self.company_id, number=number, released_at=at, why="no_subscription"
        )

    def dispute_opened(self, *, at: datetime = AT) -> DisputeOpened:
        return DisputeOpened(
            company_id=self.company_id, dispute_id="du_1", amount_cents=2990, currency="eur", opened_at=at
        )

    def dispute_closed(self, *, at: datetime = AT) -> DisputeClosed:
        return DisputeClosed(company_id=self.company_id, dispute_id="du_1", outcome="won", closed_at=at)

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
