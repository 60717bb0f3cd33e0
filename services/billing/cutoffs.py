"""Deciding on a company's lines once its deadline has passed: look at Stripe, then decide on what is so now.

No transaction is open while Stripe is asked; what is done is done under the claim's fence, after the
company's stream and its lines are locked and all is read again.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from libs.common.database import Database, Uow
from libs.common.errors import TemporaryFailure
from libs.integrations.stripe import Invoice, Stripe
from services.billing import cases, domain, lines, queries
from services.billing.cases import Scene
from services.billing.claims import LostClaimError
from services.billing.domain import Decision, GivenUp, Paid, Situation, Verdict
from services.billing.domain.team_log import cut_line, cutoff_lines
from services.billing.queries.debtors import Debtor
from services.billing.queries.lines import LinesRow
from services.billing.queries.situations import Addressee, Contract
from services.billing.settings import BillingSettings

log = logging.getLogger("relance.lines")

_GIVEN_UP = {"void": "voided", "uncollectible": "uncollectible"}


@dataclass(frozen=True, slots=True)
class _Decided:
    """What was decided and stored, for the log once it is certain."""

    situation: Situation
    decision: Decision
    contracts: list[Contract]
    now: datetime


class Cutoff:
    """The decision on a claimed company's lines."""

    def __init__(
        self, claimed: LinesRow, database: Database, stripe: Stripe, settings: BillingSettings
    ) -> None:
        self._claimed = claimed
        self._company_id = claimed.company_id
        self._database = database
        self._stripe = stripe
        self._settings = settings
        self._policy = settings.policy

    async def decide(self) -> None:
        """Raises what Stripe's trouble raises; the decision is then taken up again."""
        live: dict[str, Invoice] = {}
        situation, decision = await self._foresee()
        if decision.touches:
            live = await self._fetch(situation)
        decided = await self._decide(live)
        self._log(decided)

    async def _foresee(self) -> tuple[Situation, Decision]:
        """What it would be, by what is known: most days nobody needs to ask Stripe."""
        async with self._database.begin() as uow:
            situation = await queries.situations.get_situation(
                uow.session, self._company_id, self._claimed.lines
            )
            return situation, domain.decide(situation, self._policy, uow.now)

    async def _fetch(self, situation: Situation) -> dict[str, Invoice]:
        return {i.invoice_id: await self._stripe.get_invoice(i.invoice_id) for i in situation.unpaid}

    async def _decide(self, live: Mapping[str, Invoice]) -> _Decided:
        async with self._hold() as (uow, _):
            await self._follow(uow, live)
            row = await queries.lines.find_lines(uow.session, self._company_id)
            assert row is not None, "a claimed row stays"
            situation = await queries.situations.get_situation(uow.session, self._company_id, row.lines)
            if situation.unpaid and not row.lines.is_unpaid:
                situation = replace(situation, lines=domain.begun(row.lines, uow.now))
                await queries.lines.save_lines(
                    uow.session, self._company_id, situation.lines, row.policy_version
                )
            decision = domain.decide(situation, self._policy, uow.now)
            unseen = {i.invoice_id for i in situation.unpaid} - live.keys()
            if decision.touches and unseen:
                raise TemporaryFailure(f"{', '.join(sorted(unseen))} became unpaid while Stripe was asked")
            addressee = await self._addressee(uow, live)
            await lines.carry_out(uow, situation, decision, self._change(situation, decision, addressee))
            contracts = await queries.situations.list_contracts(uow.session, self._company_id)
            await queries.lines.release_lines(uow.session, self._claimed)
            return _Decided(situation, decision, contracts, uow.now)

    async def _follow(self, uow: Uow, live: Mapping[str, Invoice]) -> None:
        """Our copies become what Stripe says now; a case whose webhook did not come yet is closed here."""
        rows = await queries.cases.list_cases(uow.session, list(live))
        for invoice in live.values():
            await queries.stripe_copy.save_invoice(uow.session, invoice, uow.now)
            row = rows.get(invoice.id)
            fact = _fact_of(invoice)
            if row is None or fact is None:
                continue
            addressee = await queries.situations.get_addressee(uow.session, self._company_id)
            scene = Scene(
                invoice=invoice,
                debtor=Debtor(row.stripe_customer_id, self._company_id, addressee.name, addressee.email),
                row=row,
                causation_id=row.causation_id,
                traceparent=row.traceparent,
                deadline_days=self._policy.deadline_days,
            )
            await cases.carry_out(uow, scene, domain.advance(row.case, fact))

    async def _addressee(self, uow: Uow, live: Mapping[str, Invoice]) -> Addressee:
        known = await queries.situations.get_addressee(uow.session, self._company_id)
        names = [invoice.customer_name for invoice in live.values() if invoice.customer_name]
        emails = [invoice.customer_email for invoice in live.values() if invoice.customer_email]
        return Addressee(known.name or next(iter(names), None), known.email or next(iter(emails), None))

    def _change(self, situation: Situation, decision: Decision, addressee: Addressee) -> lines.Change:
        return lines.Change(
            company_id=self._company_id,
            addressee=addressee,
            policy_version=self._policy.version,
            why=decision.why,
            causation_id=self._claimed.causation_id,
            traceparent=self._claimed.traceparent,
            invoice_ids=[invoice.invoice_id for invoice in situation.counted],
            notice_delivery_id=decision.notice.delivery_id if decision.notice else None,
        )

    @asynccontextmanager
    async def _hold(self) -> AsyncIterator[tuple[Uow, LinesRow]]:
        """A transaction in which the company and its lines are locked and the claim still stands."""
        async with self._database.begin() as uow:
            await uow.lock(str(self._company_id))
            row = await queries.lines.find_lines(uow.session, self._company_id)
            if row is None or row.fence != self._claimed.fence:
                raise LostClaimError("another process took the decision over")
            yield uow, row

    def _log(self, decided: _Decided) -> None:
        """In the words that the team knows, once it is stored."""
        counted = decided.situation.counted
        if not counted:
            return
        cutoff = domain.deadline_of(counted[0].since, self._policy.deadline_days)
        for contract in decided.contracts:
            numbers = (contract.legacy_contract_id, contract.legacy_enterprise_id)
            for line in cutoff_lines(*numbers, cutoff, decided.now, self._policy.zone):
                log.info("%s", line)
            if decided.decision.verdict is Verdict.CUT:
                log.info("%s", cut_line(*numbers))


def _fact_of(invoice: Invoice) -> Paid | GivenUp | None:
    if invoice.status == "paid":
        return Paid()
    return GivenUp(_GIVEN_UP[invoice.status]) if invoice.status in _GIVEN_UP else None
