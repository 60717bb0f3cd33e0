"""The admin pages on a real socket, with notifications and the scheduler behind them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

from libs.common.events import CompanyEvent
from libs.common.events.billing import InvoiceUnpaid, LineCut, LineRestricted
from libs.common.events.directory import CompanyRegistered
from libs.common.events.operations import EventSetAside
from libs.common.router import Heard
from libs.common.service import Door
from libs.devstack.ports import free_port
from services.admin_api import handlers as admin_handlers
from services.admin_api import queries
from services.admin_api.app import create_app as create_admin_api
from services.admin_api.handlers import delivery_state
from services.billing.app import create_app as create_billing
from services.billing.settings import BillingSettings
from services.notifications.app import create_app as create_notifications
from services.notifications.settings import NotificationsSettings
from services.scheduler import handlers as scheduler_handlers
from services.scheduler.app import create_app as create_scheduler
from tests.integration.admin_api.builders import KEY, admin_database, admin_settings, heard, sent
from tests.integration.admin_api.people import PASSWORD, account
from tests.integration.scheduler.builders import drain, make_engine, scheduler_database, scheduler_settings
from tests.servers import Servers
from tests.world import World

T = TypeVar("T")
E = TypeVar("E", bound=CompanyEvent)
HTTP_ONLY = frozenset({Door.HTTP})
NOW = datetime.now(UTC)

ADMIN, READER, SUPPORT = "ada@relance.example", "rita@relance.example", "simon@relance.example"
COMPANIES = (
    ("Boulangerie Martin", "compta@boulangerie-martin.example"),
    ("Établissements Ménard et Fils — Chauffage, Plomberie, Couverture", "contact@menard.example"),
    ("Zoé Lefèvre", "zoe@lefevre.example"),
)


class House:
    """`url`: of the pages. `delivery_id`: one with its bytes; `run` works a coroutine where they live."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.url = ""
        self.delivery_id = uuid4()
        self.world: World

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    async def open(self, servers: Servers, stack: AsyncExitStack) -> None:
        self.world = await stack.enter_async_context(World.fresh(servers))
        await self._furnish()
        ports = {name: free_port() for name in ("billing", "notifications", "scheduler", "admin")}
        mail = {
            "mailer_dsn": "smtp://127.0.0.1:9",
            "mail_sender": "Relance <relance@relance.test>",
            "login_url": "https://app.relance.test/login",
            "smtp_timeout_seconds": 1,
            "interne_apikey": KEY,
        }
        notifications = create_notifications(
            self.world.settings(NotificationsSettings, **mail), doors=HTTP_ONLY
        )
        billing = create_billing(
            self.world.settings(
                BillingSettings,
                interne_apikey=KEY,
                stripe_sk="sk_test_of_this_test",
                stripe_webhook_secrets="whsec_of_this_test",
                stripe_api_base="http://127.0.0.1:9",
                billing_public_url="http://127.0.0.1:9",
            ),
            doors=HTTP_ONLY,
        )
        scheduler = create_scheduler(scheduler_settings(self.world), doors=HTTP_ONLY)
        # As in development: by plain HTTP, so that a browser takes the cookies.
        settings = admin_settings(
            self.world,
            app_env="dev",
            billing_internal_url=f"http://127.0.0.1:{ports['billing']}",
            notifications_internal_url=f"http://127.0.0.1:{ports['notifications']}",
            scheduler_internal_url=f"http://127.0.0.1:{ports['scheduler']}",
            login_tries_per_address=1000,
        )
        admin_api = create_admin_api(settings, doors=HTTP_ONLY)
        apps = {"billing": billing, "notifications": notifications, "scheduler": scheduler}
        for name, app in {**apps, "admin": admin_api}.items():
            await stack.enter_async_context(self.world.serving(app, ports[name]))
        self.url = f"http://127.0.0.1:{ports['admin']}"

    async def _furnish(self) -> None:
        for email, role in ((ADMIN, "admin"), (READER, "reader"), (SUPPORT, "support")):
            await account(self.world, email, role)
        companies = [await self._company(name, email) for name, email in COMPANIES]
        await self._deliveries(companies)
        await self._content(companies[0])
        async with admin_database(self.world) as database, database.begin() as uow:
            await queries.fold_set_aside(uow.session, [heard(_set_aside(n)) for n in range(3)])
        await self._facts(companies[0])
        registered = CompanyRegistered(
            company_id=companies[0], name=COMPANIES[0][0], email=COMPANIES[0][1], registered_at=NOW
        )
        async with scheduler_database(self.world) as database:
            async with database.begin() as uow:
                folds = scheduler_handlers.router.folds[CompanyRegistered.type]
                await folds([heard(registered)], uow.session)
            await drain(make_engine(database, scheduler_settings(self.world)))

    async def _company(self, name: str, email: str) -> UUID:
        company_id = uuid4()
        await self.world.rows(
            "admin_api",
            "insert into companies (company_id, name, email, registered_at, created_at) "
            "values ($1, $2, $3, $4, $4)",
            *(company_id, name, email, NOW),
        )
        await self.world.rows(
            "billing",
            "insert into companies (company_id, name, email) values ($1, $2, $3)",
            *(company_id, name, email),
        )
        return company_id

    async def _deliveries(self, companies: list[UUID]) -> None:
        states = []
        for n in range(70):
            one = sent(companies[n % len(companies)], at=NOW - timedelta(hours=n))
            if n == 0:
                self.delivery_id = one.delivery_id
            told: Any = (one.accepted, one.delivered, one.failed, one.suppressed, one.unknown)[n % 5]()
            kind = ("unpaid", "payment_receipt", "line_cut")[n % 3]
            told = told.model_copy(update={"kind": kind})
            states.append(delivery_state(told, heard(told).envelope))
        async with admin_database(self.world) as database, database.begin() as uow:
            await queries.fold_deliveries(uow.session, states)

    async def _facts(self, company_id: UUID) -> None:
        """An invoice that was not paid, and what came of it."""
        unpaid = _example(InvoiceUnpaid, company_id)
        told: list[Heard[Any]] = [heard(unpaid)]
        for event in (LineRestricted, LineCut):
            caused = heard(_example(event, company_id))
            told.append(replace(caused, envelope=caused.envelope._replace(causation_id=unpaid.event_id)))
        async with admin_database(self.world) as database, database.begin() as uow:
            for fact in told:
                recent = replace(fact, envelope=fact.envelope._replace(time=NOW))
                await admin_handlers.router.folds[fact.event.type]([recent], uow.session)

    async def _content(self, company_id: UUID) -> None:
        values = {
            "id": self.delivery_id,
            "dedup_key": "unpaid:in_1",
            "company_id": company_id,
            "kind": "unpaid",
            "category": "legal",
            "channel": "mail",
            "recipient": COMPANIES[0][1],
            "recipient_name": "Jeanne Martin",
            "invoice_ids": ["in_1"],
            "context": "{}",
            "status": "accepted",
            "answer": f"250 2.0.0 Ok queued for {COMPANIES[0][1]}",
            "attempts": 1,
            "due_at": NOW,
            "expires_at": NOW + timedelta(days=1),
            "content": _mail().as_bytes(),
            "event_id": uuid4(),
            "event_type": "billing.invoice_unpaid.v1",
            "created_at": NOW,
        }
        places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
        statement = f"insert into deliveries ({', '.join(values)}) values ({places})"
        await self.world.rows("notifications", statement, *values.values())


def _example(event: type[E], company_id: UUID) -> E:
    example = Path(__file__).parents[1] / "contract" / "examples" / f"{event.type}.json"
    return event.from_bytes(example.read_bytes()).model_copy(update={"company_id": company_id})


def _mail() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"] = "Relance <relance@relance.test>", COMPANIES[0][1]
    mail["Subject"] = "Votre facture 2026-0001 reste à régler : 29,90 €"
    mail.set_content("Bonjour,\n\nVotre facture reste à régler.\n")
    mail.add_alternative(
        "<html lang='fr'><head><title>Facture</title></head><body style='font:16px sans-serif'>"
        "<script>document.title = 'ran'</script><h1>Votre facture reste à régler</h1>"
        "<img src='https://tracker.example/pixel.png' alt=''><p>29,90 €</p></body></html>",
        subtype="html",
    )
    return mail


def _set_aside(n: int) -> EventSetAside:
    return EventSetAside(
        service=("billing", "notifications", "billing")[n],
        set_aside_event_id=uuid4(),
        set_aside_type="billing.invoice_unpaid.v1",
        set_aside_key=str(uuid4()),
        cause=f"ValueError: contact@menard.example cannot be written to at 06 12 34 56 {70 + n}",
        attempts=12,
        set_aside_at=NOW - timedelta(minutes=n),
    )


@contextmanager
def open_house(servers: Servers) -> Iterator[House]:
    """In a thread of its own: the browser is driven from this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    stack, house = AsyncExitStack(), House(loop)
    try:
        house.run(house.open(servers, stack))
        yield house
    finally:
        house.run(stack.aclose())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


__all__ = ["ADMIN", "PASSWORD", "READER", "SUPPORT", "House", "open_house"]
