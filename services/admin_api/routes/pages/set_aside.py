"""« Mis de côté »: events that a service could not work, and why."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from libs.common.database import Database
from services.admin_api import queries
from services.admin_api.auth import page
from services.admin_api.domain import Role
from services.admin_api.forms import set_aside_place, to_cursor
from services.admin_api.problems import Problem
from services.admin_api.screens import Screens

PAGE_ROWS = 50
SERVICES = ("billing", "notifications", "scheduler", "admin_api")


def create_router(database: Database, screens: Screens) -> APIRouter:
    router = APIRouter(prefix="/mis-de-cote", include_in_schema=False)

    @router.get("")
    @page(Role.READER)
    async def list_set_aside(
        request: Request,
        service: Annotated[str, Query(max_length=50)] = "",
        apres: Annotated[str, Query(max_length=1000)] = "",
    ) -> Response:
        before = set_aside_place(apres) if apres else None
        async with database.begin() as uow:
            rows = await queries.list_set_aside(
                uow.session, before=before, limit=PAGE_ROWS + 1, service=service or None
            )
        shown, query = rows[:PAGE_ROWS], {"service": service} if service else {}
        following = None
        if len(rows) > PAGE_ROWS:
            place = to_cursor(shown[-1].at, shown[-1].event_id, shown[-1].service)
            following = f"/mis-de-cote?{urlencode({**query, 'apres': place})}"
        return screens.show(
            request,
            "set_asides.html",
            title="Mis de côté",
            services=[(name, name) for name in SERVICES],
            service=service,
            rows=shown,
            first=f"/mis-de-cote?{urlencode(query)}" if apres else None,
            following=following,
        )

    @router.get("/{service}/{event_id}")
    @page(Role.READER)
    async def show_set_aside(request: Request, service: str, event_id: UUID) -> Response:
        async with database.begin() as uow:
            row = await queries.find_set_aside(uow.session, service, event_id)
        if row is None:
            raise Problem(
                404, "set_aside_not_found", "Introuvable", f"{service} n’a rien mis de côté sous {event_id}."
            )
        return screens.show(request, "set_aside.html", title="Événement mis de côté", row=row)

    return router
