"""The demo: companies register, renewals fail at the Stripe simulator; then what happened is looked up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx

from libs.devstack.errors import DevstackFailure
from libs.devstack.stack.folder import State
from libs.devstack.stack.plan import Plan
from libs.devstack.stack.progress import Progress
from libs.devstack.stack.story import CompanyStory, Ending, Story
from libs.devstack.stack.witnesses import Witnesses
from libs.devstack.stripe_simulator.control import SimulatorControl

DEADLINE_SECONDS = 60.0
LOOK_SECONDS = 0.25

UNPAID = Ending(fact="billing.invoice_unpaid.v1", mail="unpaid")
RECOVERED = Ending(fact="billing.payment_recovered.v1", mail="payment_recovered")
WELCOMED = Ending(fact="scheduler.signup_step_due.v1", mail="signup_first_step")


@dataclass(frozen=True)
class Role:
    """A company of the demo; `cards` are the simulator's words, the first is the default card."""

    name: str
    email: str
    ending: Ending
    cards: Sequence[str] = ()
    registered_hours_ago: float = 0.0


ROLES = (
    Role(
        "Boulangerie Martin",
        "compta@boulangerie-martin.example",
        UNPAID,
        ("decline_insufficient_funds", "decline_generic_decline", "decline_do_not_honor"),
    ),
    Role(
        "Garage Lefèvre",
        "gestion@garage-lefevre.example",
        RECOVERED,
        # The default card, then the newest: the third that is tried pays.
        ("decline_insufficient_funds", "pay", "decline_generic_decline"),
    ),
    Role("Cabinet Rousseau", "contact@cabinet-rousseau.example", WELCOMED, registered_hours_ago=3),
)


def play(plan: Plan, database_url: str, progress: Progress, check: Callable[[], None]) -> Story:
    """Plays it unless it was, or cannot be. `check` raises when somebody wants to stop."""
    done = plan.folder.read().demo
    if why := _why_not(plan, done):
        return Story(skipped=why)
    number = int(done["times"]) + 1 if done else 1
    with progress.step("Scénario de démo", "deux renouvellements échouent, une inscription"):
        story = asyncio.run(_Demo(plan, database_url, check, number).play())
    if story.is_complete():
        _note(plan, number)
    return story


def _why_not(plan: Plan, done: object) -> str | None:
    if plan.demo == "never":
        return "--no-demo : ni données ni scénario de démonstration."
    if not (plan.starts("stripe") and plan.starts("mails")):
        return (
            "Pas de démonstration : il y faut le simulateur Stripe et la boîte aux lettres de Relance, "
            "et l'environnement en nomme d'autres (STRIPE_API_BASE, MAILER_DSN)."
        )
    if done and plan.demo == "once":
        return "La démonstration a déjà été jouée sur ces données ; `relance up --demo` la rejoue."
    return None


def _note(plan: Plan, number: int) -> None:
    def note(state: State) -> None:
        state.demo = {"times": number, "played_at": datetime.now(UTC).isoformat()}

    plan.folder.update(note)


class _Demo:
    """One playing; the second and later ones are for new companies."""

    def __init__(self, plan: Plan, database_url: str, check: Callable[[], None], number: int) -> None:
        self._plan = plan
        self._database_url = database_url
        self._check = check
        self._suffix = f" n° {number}" if number > 1 else ""
        self._plus = f"+{number}" if number > 1 else ""

    async def play(self) -> Story:
        since = time.monotonic()
        async with (
            SimulatorControl(self._plan.url_of("stripe")) as stripe,
            Witnesses.of(self._plan, stripe, self._database_url) as witnesses,
        ):
            try:
                companies = [await self._begin(role, stripe) for role in ROLES]
            except httpx.HTTPError as error:
                raise DevstackFailure(f"Le scénario de démo n'a pas pu commencer : {error!r}") from error
            await self._wait(companies, witnesses)
        return Story(companies=tuple(companies), seconds=time.monotonic() - since)

    async def _begin(self, role: Role, stripe: SimulatorControl) -> CompanyStory:
        name = role.name + self._suffix
        email = role.email.replace("@", f"{self._plus}@")
        company = CompanyStory(uuid4(), name, email, role.ending)
        await self._register(company, role)
        if role.cards:
            metadata = {"company_id": str(company.company_id)}
            renewal = await stripe.renewal_fails(name=name, email=email, cards=role.cards, metadata=metadata)
            company.invoice = renewal.invoice
        return company

    async def _register(self, company: CompanyStory, role: Role) -> None:
        registered_at = datetime.now(UTC) - timedelta(hours=role.registered_hours_ago)
        form = {
            "company_id": str(company.company_id),
            "name": company.name,
            "email": company.email,
            "registered_at": registered_at.isoformat(),
        }
        headers = {"X-Api-Key": self._plan.environment["INTERNE_APIKEY"]}
        async with httpx.AsyncClient(headers=headers, trust_env=False) as admin:
            url = self._plan.url_of("admin_api") + "/api/companies"
            (await admin.post(url, json=form)).raise_for_status()

    async def _wait(self, companies: Sequence[CompanyStory], witnesses: Witnesses) -> None:
        """Until nothing is missing any more, or the deadline: then what is missing is said."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            self._check()
            for company in companies:
                await witnesses.ask_about(company)
            if not any(company.missing() for company in companies) or time.monotonic() > deadline:
                return
            await asyncio.sleep(LOOK_SECONDS)
