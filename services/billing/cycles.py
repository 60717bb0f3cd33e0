"""Working one cycle of a case: plan once, try method by method, tell once. Every step is resumed, not redone.

No transaction is open while Stripe is asked; each note is written under the claim's fence, after the
company's stream and the case's row are locked and read again.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from libs.common.clock import Clock
from libs.common.database import Database, Uow
from libs.common.errors import RelanceError, TemporaryFailure
from libs.common.jobs import brief
from libs.integrations.stripe import Charge, ChargeOutcome, Invoice, Stripe
from libs.integrations.stripe.answers import ServerFailure
from services.billing import domain, queries
from services.billing.cases import Scene, carry_out
from services.billing.claims import LostClaimError
from services.billing.domain import AllTried, Attempt, AttemptState, CaseState, TryBegun, TrySettled
from services.billing.looks import look, look_at_debit
from services.billing.queries.cases import CaseRow
from services.billing.queries.debtors import Debtor
from services.billing.queries.stripe_copy import CustomerCopy
from services.billing.settings import BillingSettings

log = logging.getLogger("relance.dunning")

# Stripe keeps a key for at least 24 hours; older tries are looked up before they are repeated.
KEYS_LIVE = timedelta(hours=20)
SERVER_FAILURES_BEFORE_LOOKING = 2
# One that is being processed is looked at when Stripe tells that something failed.
UNSETTLED = (AttemptState.PLANNED, AttemptState.TRYING, AttemptState.PROCESSING)


class Held:
    """A case held by its claimant for one transaction."""

    def __init__(self, uow: Uow, row: CaseRow, debtor: Debtor) -> None:
        self.uow = uow
        self.session = uow.session
        self.row = row
        self.debtor = debtor


class Cycle:
    """The cycle (invoice, attempt_count) that a claimed case is in."""

    def __init__(
        self, claimed: CaseRow, database: Database, stripe: Stripe, settings: BillingSettings, clock: Clock
    ) -> None:
        self._claimed = claimed
        self._database = database
        self._stripe = stripe
        self._settings = settings
        self._clock = clock
        self._invoice_id = claimed.invoice_id
        self._attempt_count = claimed.case.attempt_count

    async def work(self) -> None:
        """To the end of the cycle. Raises what Stripe's trouble raises; the case is then taken up again."""
        if not await self._is_planned():
            await self._plan()
        attempts = await self._list_attempts()
        if any(a.state is AttemptState.PLANNED for a in attempts):
            await self._write_flags("manualAttempt")
        for attempt in attempts:
            if attempt.state in UNSETTLED and not await self._try(attempt):
                return
        await self._finish()

    # -- plan

    async def _is_planned(self) -> bool:
        async with self._database.begin() as uow:
            return await queries.attempts.is_planned(uow.session, self._invoice_id, self._attempt_count)

    async def _list_attempts(self) -> list[Attempt]:
        async with self._database.begin() as uow:
            return await queries.attempts.list_attempts(uow.session, self._invoice_id, self._attempt_count)

    async def _plan(self) -> None:
        """Ask Stripe for everything, then fix the list of methods in one transaction."""
        unpaid = await self._stripe.get_unpaid(self._invoice_id)
        if unpaid.invoice.status != "open":
            async with self._hold() as held:
                await queries.attempts.add_attempts(held.session, self._invoice_id, self._attempt_count, [])
            return
        customer = unpaid.customer or await self._stripe.get_customer(self._claimed.stripe_customer_id)
        methods = [] if customer.is_deleted else await self._stripe.list_payment_methods(customer.id)
        async with self._database.begin() as uow:
            copy = CustomerCopy(customer, domain.company_of(customer), uow.now)
            await queries.stripe_copy.save_customers(uow.session, [copy])
        async with self._hold() as held:
            past = await queries.attempts.list_past_declines(
                held.session, [m.fingerprint for m in methods if m.fingerprint]
            )
            attempts = domain.plan_attempts(
                methods,
                just_failed=unpaid.last_failure,
                default_id=unpaid.default_payment_method_id,
                past_declines=past,
                policy=self._settings.policy,
                now=held.uow.now,
            )
            await queries.stripe_copy.save_invoice(held.session, unpaid.invoice, held.uow.now)
            await queries.attempts.add_attempts(held.session, self._invoice_id, self._attempt_count, attempts)

    # -- try

    async def _try(self, attempt: Attempt) -> bool:
        """One method; answers whether the next one is to be looked at."""
        if not await self._begin(attempt):
            return True  # nothing more is to be tried: the end of the cycle says why
        charge = await self._charge(attempt)
        goes_on = await self._settle(attempt, charge, charge.invoice)
        if goes_on is None:
            invoice = await self._stripe.get_invoice(self._invoice_id)
            goes_on = await self._settle(attempt, charge, invoice)
        assert goes_on is not None, "with the live invoice every answer settles"
        return goes_on

    async def _settle(self, attempt: Attempt, charge: Charge, invoice: Invoice | None) -> bool | None:
        """None, and nothing noted, when the live invoice is needed: a decline alone tells nobody anything."""
        async with self._hold() as held:
            step = domain.advance(held.row.case, TrySettled(charge.outcome))
            goes_on = step.case is not None and step.case.state is CaseState.ATTEMPTING
            if invoice is None and (step.actions or not goes_on):
                return None
            await self._mark_settled(held, attempt, charge)
            if invoice is not None:
                await queries.stripe_copy.save_invoice(held.session, invoice, held.uow.now)
                await carry_out(held.uow, self._scene(held, invoice), step)
            elif step.case is not None:
                await queries.cases.save_case(held.session, self._invoice_id, step.case)
            if not goes_on:
                await queries.cases.release_case(held.session, held.row)
        return goes_on

    async def _mark_settled(self, held: Held, attempt: Attempt, charge: Charge) -> None:
        cycle = (held.session, self._invoice_id, self._attempt_count)
        if charge.is_elsewhere:
            # This method was not charged: should that other payment fail, its turn comes.
            await queries.attempts.mark_untried(*cycle, attempt.payment_method_id)
            return
        await queries.attempts.mark_settled(
            *cycle,
            attempt.payment_method_id,
            state=AttemptState(charge.outcome),
            decline_code=charge.decline_code,
        )

    async def _begin(self, attempt: Attempt) -> bool:
        async with self._hold() as held:
            step = domain.advance(held.row.case, TryBegun())
            if step.why_not and attempt.state is AttemptState.PLANNED:
                return False
            if step.case is not None:
                await queries.cases.save_case(held.session, self._invoice_id, step.case)
            if attempt.state is not AttemptState.PROCESSING:
                await queries.attempts.mark_trying(
                    held.session, self._invoice_id, self._attempt_count, attempt
                )
            return True

    async def _charge(self, attempt: Attempt) -> Charge:
        """The try's answer, by asking under its key, or by looking when asking could charge twice."""
        if attempt.state is AttemptState.PROCESSING:
            return await look_at_debit(self._stripe, self._invoice_id, attempt)
        if self._must_look_first(attempt):
            found = await look(self._stripe, self._invoice_id, attempt)
            if found is not None:
                return found
            attempt = await self._with_new_key(attempt)
        charge = await self._ask(attempt)
        is_debit = charge.outcome is ChargeOutcome.PROCESSING and not charge.is_elsewhere
        if is_debit and attempt.state is AttemptState.TRYING:
            # Perhaps the answer of then, given again for the same key: the debit may have failed since.
            return await look_at_debit(self._stripe, self._invoice_id, attempt)
        return charge

    async def _ask(self, attempt: Attempt) -> Charge:
        key = domain.attempt_key(
            self._invoice_id, self._attempt_count, attempt.payment_method_id, attempt.key_version
        )
        try:
            charge = await self._stripe.pay_invoice(
                self._invoice_id, attempt.payment_method_id, idempotency_key=key
            )
        except ServerFailure as failure:
            # Where Stripe says that it would only answer the same again, the charges are looked at at once.
            counted = SERVER_FAILURES_BEFORE_LOOKING if failure.is_final else 1
            async with self._hold() as held:
                await queries.attempts.mark_server_failure(
                    held.session,
                    self._invoice_id,
                    self._attempt_count,
                    attempt.payment_method_id,
                    counted=counted,
                )
            raise
        if charge.is_unclear:
            # Somebody else's payment may be under way; nobody is dunned for that.
            return await look(self._stripe, self._invoice_id, attempt) or charge
        return charge

    def _must_look_first(self, attempt: Attempt) -> bool:
        if attempt.state is not AttemptState.TRYING:
            return False
        is_old = attempt.started_at is not None and self._clock() - attempt.started_at > KEYS_LIVE
        return is_old or attempt.server_failures >= SERVER_FAILURES_BEFORE_LOOKING

    async def _with_new_key(self, attempt: Attempt) -> Attempt:
        renewed = replace(attempt, key_version=attempt.key_version + 1, server_failures=0)
        async with self._hold() as held:
            await queries.attempts.mark_trying(held.session, self._invoice_id, self._attempt_count, renewed)
        return renewed

    # -- finish

    async def _finish(self) -> None:
        """All tried: decided on the live invoice, told in one transaction."""
        # The key is the claim's own: under another claim's it would answer with the invoice of that time.
        flags = ("attemptFinished", "processingFinished")
        written = await self._write_flags(*flags, suffix=f":{self._claimed.fence}")
        invoice = written or await self._stripe.get_invoice(self._invoice_id)
        attempts = await self._list_attempts()
        needs_customer = domain.needs_customer(attempts, self._settings.policy)
        async with self._hold() as held:
            await queries.stripe_copy.save_invoice(held.session, invoice, held.uow.now)
            step = domain.advance(held.row.case, AllTried(invoice.status, needs_customer))
            await queries.cases.mark_cycle_finished(
                held.session,
                self._invoice_id,
                self._attempt_count,
                ", ".join(step.actions) or "closed before",
            )
            await queries.cases.release_case(held.session, held.row)
            await carry_out(held.uow, self._scene(held, invoice), step)

    async def _write_flags(self, *flags: str, suffix: str = "") -> Invoice | None:
        """Written for people who look at Stripe's dashboard; nothing here ever reads them or waits for them.

        Answers with the live invoice where they were written, which saves a request.
        """
        key = domain.metadata_key(self._invoice_id, self._attempt_count, flags[0]) + suffix
        try:
            return await self._stripe.write_metadata(
                self._invoice_id, dict.fromkeys(flags, "true"), idempotency_key=key
            )
        except RelanceError as error:
            log.info("invoice %s: %s was not written: %s", self._invoice_id, flags[0], brief(error))
            return None

    # -- the claim

    @asynccontextmanager
    async def _hold(self) -> AsyncIterator[Held]:
        """A transaction in which the company and the case are locked and the claim still stands."""
        async with self._database.begin() as uow:
            debtor = await queries.debtors.lock_debtor(uow.session, self._claimed.stripe_customer_id)
            row = await queries.cases.find_case(uow.session, self._invoice_id)
            if row is None:
                raise TemporaryFailure(f"the case of {self._invoice_id} is not there")
            if row.fence != self._claimed.fence:
                raise LostClaimError("another process took the case over")
            if row.company_id != debtor.company_id:
                await queries.cases.mark_company(uow.session, self._invoice_id, debtor.company_id)
            await queries.cases.hold_on(
                uow.session, self._invoice_id, lease_seconds=self._settings.lease_seconds
            )
            yield Held(uow, row, debtor)

    def _scene(self, held: Held, invoice: Invoice) -> Scene:
        return Scene(
            invoice=invoice,
            debtor=held.debtor,
            row=held.row,
            causation_id=held.row.causation_id,
            traceparent=held.row.traceparent,
            deadline_days=self._settings.policy.deadline_days,
            pay_links=self._settings.pay_links,
        )
