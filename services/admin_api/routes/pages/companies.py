"""« Voir le client »: who a company is, how it stands and why, what happened to it, what comes next."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from libs.common.database import Database
from services.admin_api import domain, queries
from services.admin_api.auth import page
from services.admin_api.domain import Role
from services.admin_api.forms import timeline_place, to_cursor
from services.admin_api.peers import PeerDown, PeerRefused, Peers
from services.admin_api.queries import TimelinePlace
from services.admin_api.routes.directory import no_company
from services.admin_api.screens import Screens, from_iso

PAGE_ROWS = 50
FORESEEN_DAYS = 60


def create_router(database: Database, screens: Screens, peers: Peers) -> APIRouter:
    router = APIRouter(prefix="/entreprises", include_in_schema=False)
    desk = _Desk(database, peers)

    @router.get("/{company_id}")
    @page(Role.READER)
    async def show_company(
        request: Request, company_id: UUID, apres: Annotated[str, Query(max_length=1000)] = ""
    ) -> Response:
        before = TimelinePlace(*timeline_place(apres)) if apres else None
        shown = await desk.look(company_id, before)
        rows, path = shown.pop("rows"), f"/entreprises/{company_id}"
        following = None
        if len(rows) > PAGE_ROWS:
            last = rows[PAGE_ROWS - 1]
            following = f"{path}?{urlencode({'apres': to_cursor(last.at, last.source, last.id)})}#histoire"
        # What others know of it is asked for once, not with each page of its history.
        asked: dict[str, Any] = {"explained": None, "coming": None}
        if before is None:
            asked = {"explained": await desk.explain(company_id), "coming": await desk.foresee(company_id)}
        return screens.show(
            request,
            "company.html",
            company_id=company_id,
            rows=rows[:PAGE_ROWS],
            shown_ids={row.id for row in rows[:PAGE_ROWS]},
            first=path if apres else None,
            following=following,
            **shown,
            **asked,
        )

    return router


class _Desk:
    def __init__(self, database: Database, peers: Peers) -> None:
        self._database = database
        self._peers = peers

    async def look(self, company_id: UUID, before: TimelinePlace | None) -> dict[str, Any]:
        """What this service knows. Raises Problem for a company that is neither registered nor written to."""
        async with self._database.begin() as uow:
            company = await queries.find_company(uow.session, company_id)
            ids = [company_id]
            if company is not None:
                ids = domain.ids_in_facts(company_id, company.stripe_customer_id)
            rows = await queries.list_timeline(uow.session, ids, before=before, limit=PAGE_ROWS + 1)
            if company is None and not rows and before is None:
                raise no_company(company_id)
            return {
                "title": company.name if company is not None else "Client hors de l’annuaire",
                "company": company,
                "contacts": await queries.list_contacts(uow.session, company_id),
                "numbers": await queries.list_numbers(uow.session, company_id),
                "rows": rows,
            }

    async def explain(self, company_id: UUID) -> list[str] | None:
        """None: billing is down."""
        try:
            return await self._peers.explain(company_id)
        except (PeerDown, PeerRefused):
            return None

    async def foresee(self, company_id: UUID) -> list[dict[str, Any]] | None:
        """None: the scheduler is down."""
        try:
            rows = await self._peers.list_coming(company_id, days=FORESEEN_DAYS)
        except (PeerDown, PeerRefused):
            return None
        return [{**row, "tells_at": from_iso(row["tells_at"])} for row in rows]
