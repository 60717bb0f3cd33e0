"""The webhooks' door, the page, the JSON of the books and the tests' orders."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from libs.devstack.phone_platform import pages, webhooks
from libs.devstack.phone_platform.models import Books, Trouble
from libs.devstack.phone_platform.simulation import Simulation
from libs.devstack.phone_platform.store import LineStore


def create_app(store: LineStore, secrets: Sequence[str]) -> FastAPI:
    simulation = Simulation()
    app = FastAPI(title="Relance: phone platform", docs_url=None, redoc_url=None)
    app.include_router(webhooks.router(store, simulation, secrets))
    app.include_router(_controls(store, simulation))
    app.include_router(pages.router(store, simulation))
    return app


def _controls(store: LineStore, simulation: Simulation) -> APIRouter:
    controls = APIRouter()

    @controls.get("/api/books")
    async def show_books() -> Books:
        return store.books()

    @controls.post("/_sim/trouble", status_code=201)
    async def order_trouble(trouble: Trouble) -> Trouble:
        simulation.order(trouble)
        return trouble

    @controls.get("/_sim/trouble")
    async def list_troubles() -> list[Trouble]:
        return simulation.waiting()

    @controls.delete("/_sim/trouble", status_code=204)
    async def forget_troubles() -> None:
        simulation.reset()

    return controls
