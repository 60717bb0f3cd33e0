"""« Journal »: who did what, to what, when, from where, and why."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from libs.common.database import Database
from services.admin_api import queries
from services.admin_api.auth import page
from services.admin_api.domain import InvalidError, Role
from services.admin_api.queries import WantedDeeds
from services.admin_api.screens import PARIS, Screens
from services.admin_api.words import WORDS

PAGE_ROWS = 100
Filter = Annotated[str, Query(max_length=300)]


def create_router(database: Database, screens: Screens) -> APIRouter:
    router = APIRouter(prefix="/journal", include_in_schema=False)

    @router.get("")
    @page(Role.ADMIN)
    async def show_journal(
        request: Request,
        *,
        qui: Filter = "",
        action: Filter = "",
        objet: Filter = "",
        du: Filter = "",
        au: Filter = "",
        avant: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    ) -> Response:
        asked = {
            "qui": qui.strip(), "action": action, "objet": objet.strip(), "du": du.strip(), "au": au.strip()
        }  # fmt: skip
        error = ""
        async with database.begin() as uow:
            actions = await queries.list_actions(uow.session)
            rows = []
            try:
                rows = await queries.list_audit(
                    uow.session, wanted(asked), before_id=avant, limit=PAGE_ROWS + 1
                )
            except InvalidError as invalid:
                error = str(invalid)
        shown, query = rows[:PAGE_ROWS], {name: value for name, value in asked.items() if value}
        following = None
        if len(rows) > PAGE_ROWS:
            following = f"/journal?{urlencode({**query, 'avant': shown[-1].audit_id})}"
        return screens.show(
            request,
            "journal.html",
            title="Journal",
            asked=asked,
            actions=[(each, WORDS["action"].get(each, each)) for each in actions],
            rows=shown,
            error=error,
            first=f"/journal?{urlencode(query)}" if avant else None,
            following=following,
        )

    return router


def wanted(asked: dict[str, str]) -> WantedDeeds:
    """`objet`: a company's id, or a subject such as « routine:check_unpaid ». Raises InvalidError."""
    company_id = _uuid(asked["objet"])
    until = _day(asked["au"])
    return WantedDeeds(
        who=asked["qui"].lower() or None,
        action=asked["action"] or None,
        subject=None if company_id else asked["objet"] or None,
        company_id=company_id,
        since=_day(asked["du"]),
        before=until and _day((until.date() + timedelta(days=1)).isoformat()),
    )


def _day(text: str) -> datetime | None:
    """Its first moment in Paris."""
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text), time(), PARIS)
    except ValueError as error:
        raise InvalidError(
            "date_invalid", "Cette date n’est pas lisible : choisissez-la au calendrier."
        ) from error


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
