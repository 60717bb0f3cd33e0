"""Who is asked what happened: the simulator's books, the mail catcher, the admin API, the outboxes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import httpx

from libs.devstack.mail_catcher.control import MailCatcherControl
from libs.devstack.stack.environment import SERVICES
from libs.devstack.stack.plan import Plan
from libs.devstack.stack.story import CompanyStory, Fact, Mail, Tried
from libs.devstack.stripe_simulator.control import PaymentAttempt, SimulatorControl

_FACTS = " union all ".join(
    f"select '{service}' as service, type, occurred_at, revision from {service}.outbox where key = $1"  # noqa: S608
    for service in SERVICES
)


def _client(base_url: str, headers: dict[str, str]) -> httpx.AsyncClient:
    # Whatever proxy the environment names, it is not for this machine's own servers.
    return httpx.AsyncClient(base_url=base_url, headers=headers, trust_env=False)


@dataclass(frozen=True)
class Witnesses:
    """All of them connected."""

    plan: Plan
    stripe: SimulatorControl
    stripe_api: httpx.AsyncClient
    mails: MailCatcherControl
    admin: httpx.AsyncClient
    database: asyncpg.Connection[asyncpg.Record]

    @classmethod
    @asynccontextmanager
    async def of(cls, plan: Plan, stripe: SimulatorControl, database_url: str) -> AsyncIterator[Witnesses]:
        stripe_key = {"Authorization": f"Bearer {plan.environment['STRIPE_SK']}"}
        admin_key = {"X-Api-Key": plan.environment["INTERNE_APIKEY"]}
        database = await asyncpg.connect(database_url, timeout=5)
        try:
            async with (
                _client(plan.url_of("stripe"), stripe_key) as stripe_api,
                MailCatcherControl(plan.url_of("mails")) as mails,
                _client(plan.url_of("admin_api"), admin_key) as admin,
            ):
                yield cls(plan, stripe, stripe_api, mails, admin, database)
        finally:
            await database.close()

    async def ask_about(self, company: CompanyStory) -> None:
        """Fills in all that can be seen now; a witness that does not answer leaves its part as it was."""
        if company.invoice is not None:
            company.tried = [await self._tried(it) for it in await self.stripe.payments(company.invoice)]
            statuses = {invoice.id: invoice.status for invoice in await self.stripe.invoices()}
            company.invoice_status = statuses.get(company.invoice, "")
        company.facts = await self._facts(company)
        company.mails = await self._mails(company)
        company.deliveries = await self._deliveries(company)

    async def _tried(self, attempt: PaymentAttempt) -> Tried:
        answer = attempt.decline_code or attempt.outcome
        return Tried(
            card=await self._card(attempt.payment_method),
            is_ours=not attempt.is_automatic,
            answer=answer,
            is_paid=attempt.outcome == "pay",
        )

    async def _card(self, payment_method: str) -> str:
        response = await self.stripe_api.get(f"/v1/payment_methods/{payment_method}")
        card = response.raise_for_status().json()["card"]
        return f"{card['brand'].capitalize()} •••• {card['last4']}"

    async def _facts(self, company: CompanyStory) -> list[Fact]:
        rows = await self.database.fetch(f"{_FACTS} order by occurred_at, revision", str(company.company_id))
        return [Fact(row["service"], row["type"], row["occurred_at"]) for row in rows]

    async def _mails(self, company: CompanyStory) -> list[Mail]:
        caught = await self.mails.mails(recipient=company.email)
        return [
            Mail(it.kind or "?", it.subject, it.to, f"{self.mails.base_url}/mails/{it.id}")
            for it in reversed(caught)
        ]

    async def _deliveries(self, company: CompanyStory) -> dict[str, str]:
        response = await self.admin.get(f"/api/companies/{company.company_id}/deliveries")
        response.raise_for_status()
        return {it["kind"]: it["status"] for it in response.json()["deliveries"]}
