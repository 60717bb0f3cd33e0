"""The first page: where one can go, and what waits there."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from libs.common.database import Database
from services.admin_api import queries
from services.admin_api.auth import page
from services.admin_api.domain import Role
from services.admin_api.screens import Screens

MOST_COUNTED = 1000


def create_router(database: Database, screens: Screens) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    @page(Role.READER)
    async def show_home(request: Request) -> Response:
        async with database.begin() as uow:
            set_aside = await queries.count_set_aside(uow.session, most=MOST_COUNTED)
            routines = await queries.list_routines(uow.session)
        silent = [each for each in routines if each.expected_by is not None and each.expected_by < uow.now]
        events = (
            "Aucun événement" if not set_aside else f"{set_aside} événement{'s' if set_aside > 1 else ''}"
        )
        if set_aside >= MOST_COUNTED:
            events = f"Plus de {MOST_COUNTED - 1} événements"
        return screens.show(
            request, "home.html", title="Accueil", figures={"/mis-de-cote": events}, silent=silent
        )

    return router
