"""smsmode's API, the page, the JSON of the books and the tests' orders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Body, FastAPI, HTTPException

from libs.devstack.sms_provider import api, pages
from libs.devstack.sms_provider.models import Books, Fate, Trouble
from libs.devstack.sms_provider.reporting import Reporter
from libs.devstack.sms_provider.simulation import Simulation
from libs.devstack.sms_provider.store import SmsStore


def create_app(store: SmsStore, key: str) -> FastAPI:
    simulation, reporter = Simulation(), Reporter(store)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await reporter.close()

    app = FastAPI(title="Relance: SMS", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.include_router(api.router(store, simulation, reporter, key))
    app.include_router(_controls(store, simulation, reporter))
    app.include_router(pages.router(store, simulation, reporter))
    return app


def _controls(store: SmsStore, simulation: Simulation, reporter: Reporter) -> APIRouter:
    controls = APIRouter()

    @controls.get("/api/books")
    async def show_books() -> Books:
        return store.books()

    @controls.delete("/api/sms", status_code=204)
    async def forget_sms() -> None:
        store.forget()

    @controls.post("/_sim/trouble", status_code=201)
    async def order_trouble(trouble: Trouble) -> Trouble:
        simulation.order(trouble)
        return trouble

    @controls.get("/_sim/trouble")
    async def list_troubles() -> list[Trouble]:
        return simulation.waiting()

    @controls.put("/_sim/fate")
    async def order_fate(fate: Fate) -> Fate:
        simulation.fate = fate
        return fate

    @controls.post("/_sim/reply", status_code=202)
    async def reply(number: Annotated[str, Body()], text: Annotated[str, Body()]) -> None:
        if not reporter.reply(number, text):
            raise HTTPException(409, "nobody has asked for replies yet")

    @controls.delete("/_sim/trouble", status_code=204)
    async def forget_orders() -> None:
        simulation.reset()

    return controls
