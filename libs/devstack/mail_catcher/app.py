"""The web page, the JSON API and the tests' orders, around the SMTP door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from libs.devstack.mail_catcher import api, pages
from libs.devstack.mail_catcher.simulation import Simulation
from libs.devstack.mail_catcher.smtp_server import serve_smtp
from libs.devstack.mail_catcher.store import MailStore


def create_app(store: MailStore, *, host: str, smtp_port: int) -> FastAPI:
    """Listens for SMTP as long as the application lives."""
    simulation = Simulation()

    @asynccontextmanager
    async def smtp_door(app: FastAPI) -> AsyncIterator[None]:
        server = await serve_smtp(host, smtp_port, store, simulation)
        yield
        server.close()
        store.close()

    app = FastAPI(title="Relance: mail catcher", lifespan=smtp_door, docs_url=None, redoc_url=None)
    app.include_router(api.router(store, simulation))
    app.include_router(pages.router(store, smtp_address=f"{host}:{smtp_port}"))
    return app
