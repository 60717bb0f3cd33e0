"""Open invoices of Stripe's that failed and have no case here: what no event told begins all the same."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from libs.common.database import Database
from libs.integrations.stripe import Invoice, Stripe
from services.billing import domain, queries
from services.billing.cases import Scene, carry_out
from services.billing.domain import Failed
from services.billing.queries.reconciliation import WalkRow

log = logging.getLogger("relance.reconciliation")

# A cycle that begins tells nothing that has a deadline.
_NO_DEADLINE = 0


async def begin_missed_cycles(
    database: Database, stripe: Stripe, invoices: Sequence[Invoice], walk: WalkRow
) -> None:
    """As a failure told by Stripe would. Only for invoices without any case: where one is, its next cycles
    come from Stripe's own attempts, which `attempt_count` alone does not tell from ours."""
    attempted = [i for i in invoices if i.customer_id and i.attempt_count > 0 and i.amount_remaining > 0]
    async with database.begin() as uow:
        known = await queries.cases.list_known_invoices(uow.session, [i.id for i in attempted])
    for invoice in attempted:
        # Open, attempted, and not failed: a debit that takes days. Whoever began now would charge twice.
        if invoice.id not in known and await stripe.find_collecting_method_id(invoice.id) is None:
            await _begin(database, invoice, walk.causation_id, walk.traceparent)


async def _begin(
    database: Database, invoice: Invoice, causation_id: UUID | None, traceparent: str | None
) -> None:
    assert invoice.customer_id is not None, "an invoice without a customer is nobody's debt"
    async with database.begin() as uow:
        debtor = await queries.debtors.lock_debtor(uow.session, invoice.customer_id)
        await queries.stripe_copy.save_invoice(uow.session, invoice, uow.now)
        row = await queries.cases.find_case(uow.session, invoice.id)
        if row is not None:
            return
        scene = Scene(
            invoice=invoice,
            debtor=debtor,
            row=None,
            causation_id=causation_id or UUID(int=0),
            traceparent=traceparent,
            deadline_days=_NO_DEADLINE,
        )
        await carry_out(uow, scene, domain.advance(None, Failed(invoice.attempt_count, is_invoice_open=True)))
    log.warning("invoice %s had failed unheard: its case begins", invoice.id)
