"""Carrying out a step of a dunning case: the new state and the facts it deserves, in one transaction.

Handlers and jobs both come here, holding the company's stream and the case's row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.database import Uow
from libs.common.events.billing import (
    InvoiceClosed,
    InvoicePaid,
    InvoiceUnpaid,
    OpenInvoice,
    PaymentActionRequired,
)
from libs.integrations.stripe import Invoice
from services.billing import domain, lines, queries
from services.billing.domain import Action, Case, CaseState, PayLinks, Purpose, Step
from services.billing.queries.cases import CaseRow
from services.billing.queries.debtors import Debtor
from services.billing.queries.situations import Addressee


@dataclass(frozen=True, slots=True)
class Scene:
    """What a step is carried out on: whose invoice, its case if there is one, and the trace to go on with."""

    invoice: Invoice
    debtor: Debtor
    row: CaseRow | None
    causation_id: UUID
    traceparent: str | None
    deadline_days: int
    pay_links: PayLinks | None = None

    def link(self, purpose: Purpose, subject: object, now: datetime) -> str | None:
        """Only where there are links to be made."""
        return None if self.pay_links is None else self.pay_links.url_of(purpose, subject, now)


async def carry_out(uow: Uow, scene: Scene, step: Step) -> None:
    """Store the step's case and do its actions. Nothing is done for a step that changes nothing."""
    if step.case is not None and (scene.row is None or step.case != scene.row.case):
        await _save(uow, scene, step.case)
    for action in step.actions:
        await _act(uow, scene, action, step)


async def _save(uow: Uow, scene: Scene, case: Case) -> None:
    if scene.row is not None:
        await queries.cases.save_case(uow.session, scene.invoice.id, case)
        return
    await queries.cases.add_case(
        uow.session,
        invoice_id=scene.invoice.id,
        stripe_customer_id=scene.invoice.customer_id or "",
        company_id=scene.debtor.company_id,
        case=case,
        opened_at=uow.now,
        causation_id=scene.causation_id,
        traceparent=scene.traceparent,
    )
    queries.lines.begin_episode(uow, scene.debtor.company_id)


async def _act(uow: Uow, scene: Scene, action: Action, step: Step) -> None:
    case = step.case
    match action:
        case Action.BEGIN_CYCLE:
            await _begin_cycle(uow, scene, case)
        case Action.RESUME_CYCLE:
            await _resume_cycle(uow, scene)
        case Action.TELL_PAID:
            await _tell_paid(uow, scene, is_recovered=Action.TELL_RECOVERED in step.actions)
        case Action.TELL_RECOVERED:
            await _tell_recovered(uow, scene)
        case Action.TELL_UNPAID:
            await _tell_unpaid(uow, scene)
        case Action.TELL_ACTION_REQUIRED:
            await _tell_action_required(uow, scene)
        case Action.TELL_CLOSED:
            await _tell_closed(uow, scene, case)


async def _begin_cycle(uow: Uow, scene: Scene, case: Case | None) -> None:
    assert case is not None, "a cycle belongs to a case"
    await queries.cases.add_cycle(
        uow.session, scene.invoice.id, case.attempt_count, uow.now, scene.causation_id
    )
    await queries.cases.mark_due(uow.session, scene.invoice.id)


async def _resume_cycle(uow: Uow, scene: Scene) -> None:
    assert scene.row is not None, "only a case that waits is resumed"
    await queries.cases.mark_due(uow.session, scene.invoice.id)


async def _tell_paid(uow: Uow, scene: Scene, *, is_recovered: bool) -> None:
    paid = _invoice_paid(uow, scene, is_recovered=is_recovered)
    await uow.publish(paid, traceparent=scene.traceparent, causation_id=scene.causation_id)


async def _tell_recovered(uow: Uow, scene: Scene) -> None:
    assert scene.row is not None, "only a try of a case recovers"
    attempt_count = scene.row.case.attempt_count
    attempts = await queries.attempts.list_attempts(uow.session, scene.invoice.id, attempt_count)
    paid = _invoice_paid(uow, scene, is_recovered=True)
    recovered = domain.payment_recovered(paid, attempt_count, attempts)
    await uow.publish(recovered, traceparent=scene.traceparent, causation_id=scene.causation_id)


def _invoice_paid(uow: Uow, scene: Scene, *, is_recovered: bool) -> InvoicePaid:
    invoice, debtor = scene.invoice, scene.debtor
    return domain.invoice_paid(
        invoice,
        debtor.company_id,
        debtor.name(invoice),
        debtor.email(invoice),
        now=uow.now,
        is_recovered=is_recovered,
    )


async def _tell_unpaid(uow: Uow, scene: Scene) -> None:
    """The one InvoiceUnpaid of a cycle, counting all that the company owes at this moment."""
    assert scene.row is not None, "only a case is unpaid"
    debtor, attempt_count = scene.debtor, scene.row.case.attempt_count
    attempts = await queries.attempts.list_attempts(uow.session, scene.invoice.id, attempt_count)
    open_cases = await queries.stripe_copy.list_open_cases(uow.session, debtor.company_id)
    others = [c for c in open_cases if c.invoice.invoice_id != scene.invoice.id]
    earliest = min([scene.row.opened_at, *(c.opened_at for c in open_cases)])
    unpaid = InvoiceUnpaid(
        company_id=debtor.company_id,
        invoice_id=scene.invoice.id,
        attempt_count=attempt_count,
        billing_cycle=scene.invoice.billing_cycle,
        attempts=domain.tried(attempts),
        open_invoices=tuple(_with_link(c.invoice, scene, uow.now) for c in open_cases),
        unpaid_count=len(open_cases),
        total_due_cents=sum(c.invoice.amount_remaining_cents for c in open_cases),
        currency=scene.invoice.currency,
        deadline_at=domain.deadline_of(earliest, scene.deadline_days),
        invoice_deadline_at=domain.deadline_of(scene.row.opened_at, scene.deadline_days),
        stage=domain.stage_of(len(open_cases)),
        cases_being_tried=sum(c.state == CaseState.ATTEMPTING for c in others),
        pay_url=scene.link(Purpose.PAY, scene.invoice.id, uow.now),
        card_url=scene.link(Purpose.CARD, debtor.company_id, uow.now),
        customer_name=debtor.name(scene.invoice),
        customer_email=debtor.email(scene.invoice),
    )
    await uow.publish(unpaid, traceparent=scene.traceparent, causation_id=scene.causation_id)


def _with_link(invoice: OpenInvoice, scene: Scene, now: datetime) -> OpenInvoice:
    return invoice.model_copy(update={"pay_url": scene.link(Purpose.PAY, invoice.invoice_id, now)})


async def _tell_action_required(uow: Uow, scene: Scene) -> None:
    assert scene.row is not None, "only a case asks for an action"
    invoice, debtor = scene.invoice, scene.debtor
    required = PaymentActionRequired(
        company_id=debtor.company_id,
        invoice_id=invoice.id,
        attempt_count=scene.row.case.attempt_count,
        number=invoice.number,
        amount_cents=invoice.amount_remaining,
        currency=invoice.currency,
        billing_cycle=invoice.billing_cycle,
        hosted_invoice_url=invoice.hosted_invoice_url,
        pay_url=scene.link(Purpose.PAY, invoice.id, uow.now),
        customer_name=debtor.name(scene.invoice),
        customer_email=debtor.email(scene.invoice),
    )
    await uow.publish(required, traceparent=scene.traceparent, causation_id=scene.causation_id)


async def _tell_closed(uow: Uow, scene: Scene, case: Case | None) -> None:
    assert case is not None, "only a case closes"
    closed = InvoiceClosed(
        company_id=scene.debtor.company_id,
        invoice_id=scene.invoice.id,
        reason=case.closed_why or "closed",
        closed_at=uow.now,
    )
    await uow.publish(closed, traceparent=scene.traceparent, causation_id=scene.causation_id)
    await queries.cases.mark_cycle_finished(
        uow.session, scene.invoice.id, case.attempt_count, outcome=f"closed: {case.closed_why}"
    )
    debtor = scene.debtor
    addressee = Addressee(debtor.name(scene.invoice), debtor.email(scene.invoice))
    await lines.end_episode_if_settled(
        uow,
        debtor.company_id,
        addressee,
        traceparent=scene.traceparent,
        causation_id=scene.causation_id,
    )
