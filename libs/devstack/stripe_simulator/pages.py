"""The simulator's pages, in French: what there is, and buttons to make things happen."""

from collections.abc import Callable
from datetime import datetime
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader

from libs.devstack.stripe_simulator import cards, payments, schedule
from libs.devstack.stripe_simulator.forms import Params
from libs.devstack.stripe_simulator.resources import payment_methods, portal
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Act, Cause, World, new_id

_SHOWN = 40
_DAY_SECONDS = 86_400
_PARIS = ZoneInfo("Europe/Paris")

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
_TEMPLATES.filters["euros"] = lambda cents: f"{cents / 100:.2f}".replace(".", ",") + " €"
_TEMPLATES.filters["moment"] = lambda at: (
    f"{datetime.fromtimestamp(at, _PARIS):%d/%m/%Y %H:%M:%S}" if at else "—"
)


def router(world: World) -> APIRouter:
    """The pages and their buttons."""
    pages = APIRouter(default_response_class=HTMLResponse, include_in_schema=False)
    _add_overview(pages, world)
    _add_invoice_page(pages, world)
    _add_portal(pages, world)
    _add_buttons(pages, world)
    return pages


def _add_overview(pages: APIRouter, world: World) -> None:
    store = world.store

    def latest(kind: str) -> list[Record]:
        return list(islice(store.newest_first(kind), _SHOWN))

    @pages.get("/")
    async def show_overview() -> str:
        customers = latest("customer")
        return _render(
            "overview.html",
            now=world.clock.now(),
            counts={kind: store.count(kind) for kind in store.kinds()},
            customers=customers,
            methods={row["id"]: _methods(world, row["id"]) for row in customers},
            invoices=latest("invoice"),
            events=[(row, world.deliverer.pending_webhooks(row["id"])) for row in latest("event")],
            deliveries=latest("_delivery"),
        )

    @pages.get("/client/{customer_id}")
    async def show_customer(customer_id: str) -> str:
        customer = Act(world).get("customer", customer_id)
        invoices = [row for row in store.newest_first("invoice") if row["customer"] == customer_id]
        methods = _methods(world, customer_id)
        return _render("customer.html", customer=customer, methods=methods, invoices=invoices)


def _add_invoice_page(pages: APIRouter, world: World) -> None:
    @pages.get("/facture/{invoice_id}")
    async def show_invoice(invoice_id: str) -> str:
        return _render("invoice.html", invoice=Act(world).get("invoice", invoice_id))

    @pages.post("/facture/{invoice_id}/payer")
    async def pay_invoice(invoice_id: str) -> RedirectResponse:
        act = Act(world, Cause(new_id("req"), None))
        invoice = act.get("invoice", invoice_id)
        with world.sole_writer(invoice_id):
            payments.refuse_unpayable(act, invoice)
            card = cards.simulated_card(cards.PAY)
            method = payment_methods.add_payment_method(act, card, Params({}))
            payment_methods.attach(act, method, invoice["customer"])
            payments.attempt(act, invoice, method, is_automatic=False)
        world.commit()
        return _back_to(f"/facture/{invoice_id}")


def _add_portal(pages: APIRouter, world: World) -> None:
    @pages.get("/portail/{session_id}")
    async def show_portal(session_id: str) -> str:
        session = Act(world).get(portal.SESSION, session_id)
        customer = Act(world).get("customer", session["customer"])
        methods = _methods(world, customer["id"])
        return _render("portal.html", session=session, customer=customer, methods=methods)

    @pages.post("/portail/{session_id}/carte")
    async def add_card(session_id: str) -> RedirectResponse:
        act = Act(world, Cause(new_id("req"), None))
        portal.add_card(act, act.get(portal.SESSION, session_id))
        world.commit()
        return _back_to(f"/portail/{session_id}")


def _add_buttons(pages: APIRouter, world: World) -> None:
    def button(path: str, action: Callable[[str], object]) -> None:
        @pages.post(path)
        async def press(key: str) -> RedirectResponse:
            action(key)
            world.commit()
            return _back_to("/")

    def behave(key: str, behaviour: str) -> None:
        method = Act(world).get("payment_method", key)
        payment_methods.set_behaviour(Act(world), method, cards.behaviour_named(behaviour))

    def advance(days: str) -> None:
        schedule.run_due(Act(world), world.clock.now() + int(days) * _DAY_SECONDS)

    button("/actions/carte/{key}/refuser", lambda key: behave(key, "decline"))
    button("/actions/carte/{key}/accepter", lambda key: behave(key, "pay"))
    button(
        "/actions/facture/{key}/tenter",
        lambda key: schedule.attempt_automatically(Act(world), Act(world).get("invoice", key)),
    )
    button("/actions/horloge/{key}", advance)
    button(
        "/actions/evenement/{key}/renvoyer",
        lambda key: world.deliverer.queue_again(Act(world).get("event", key)),
    )


def _methods(world: World, customer_id: str) -> list[tuple[Record, str]]:
    """A customer's methods, each with its behaviour in French."""
    methods = payment_methods.of_customer(Act(world), customer_id)
    return [(method, _in_french(payment_methods.behaviour_of(method))) for method in methods]


def _in_french(behaviour: cards.Behaviour) -> str:
    match behaviour.outcome:
        case "pay":
            return "accepte"
        case "authenticate":
            return "demande 3-D Secure"
        case "process":
            return "reste en traitement"
        case _:
            return f"refuse ({behaviour.decline_code})"


def _render(template: str, **values: object) -> str:
    return _TEMPLATES.get_template(template).render(**values)


def _back_to(path: str) -> RedirectResponse:
    return RedirectResponse(path, status_code=303)
