"""« Envois »: what was sent, or deliberately not; one with its steps and its bytes."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from libs.common.database import Database
from services.admin_api import queries
from services.admin_api.auth import Caller, CallerOf, page
from services.admin_api.domain import Role
from services.admin_api.forms import delivery_place, to_cursor
from services.admin_api.peers import PeerDown, PeerRefused, Peers
from services.admin_api.problems import Problem
from services.admin_api.queries import WantedDeliveries
from services.admin_api.screens import Screens, from_iso
from services.admin_api.words import WORDS

PAGE_ROWS = 50
SHOWN_HEADERS = ("From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Unsubscribe")
# A mail's own page: nothing runs, nothing is loaded, and it stands in no frame but ours.
MAIL_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'self'"

Filter = Annotated[str, Query(max_length=200)]


def create_router(database: Database, screens: Screens, peers: Peers) -> APIRouter:
    router = APIRouter(prefix="/envois", include_in_schema=False)
    desk = _Desk(database, peers)

    _add_list(router, database, screens)
    _add_one(router, screens, desk)
    return router


def _add_list(router: APIRouter, database: Database, screens: Screens) -> None:
    @router.get("")
    @page(Role.READER)
    async def list_deliveries(
        request: Request,
        *,
        type: Filter = "",  # noqa: A002 - the word in the address
        etat: Filter = "",
        canal: Filter = "",
        entreprise: Filter = "",
        apres: Annotated[str, Query(max_length=1000)] = "",
    ) -> Response:
        asked = {"type": type, "etat": etat, "canal": canal, "entreprise": entreprise.strip()}
        company_id, error = _company(asked["entreprise"])
        wanted = WantedDeliveries(type or None, etat or None, canal or None, company_id)
        async with database.begin() as uow:
            kinds = await queries.list_kinds(uow.session)
            rows = []
            if not error:
                before = delivery_place(apres) if apres else None
                rows = await queries.browse_deliveries(
                    uow.session, wanted, before=before, limit=PAGE_ROWS + 1
                )
        shown, query = rows[:PAGE_ROWS], {name: value for name, value in asked.items() if value}
        following = None
        if len(rows) > PAGE_ROWS:
            place = to_cursor(shown[-1].first_at, shown[-1].delivery_id)
            following = f"/envois?{urlencode({**query, 'apres': place})}"
        return screens.show(
            request,
            "deliveries.html",
            title="Envois",
            asked=asked,
            kinds=sorted(((kind, WORDS["kind"].get(kind, kind)) for kind in kinds), key=lambda each: each[1]),
            statuses=list(WORDS["status"].items()),
            channels=list(WORDS["channel"].items()),
            rows=shown,
            error=error,
            first=f"/envois?{urlencode(query)}" if apres else None,
            following=following,
        )


def _add_one(router: APIRouter, screens: Screens, desk: _Desk) -> None:
    @router.get("/{delivery_id}")
    @page(Role.READER)
    async def show_delivery(request: Request, delivery_id: UUID, caller: CallerOf) -> Response:
        context = await desk.look(delivery_id, caller)
        return screens.show(request, "delivery.html", title="Envoi", **context)

    @router.get("/{delivery_id}/message.eml")
    @page(Role.SUPPORT)
    async def download_message(delivery_id: UUID, caller: CallerOf) -> Response:
        content = await desk.content_for(delivery_id, caller)
        name = f'attachment; filename="envoi-{delivery_id}.eml"'
        return Response(content, media_type="message/rfc822", headers={"Content-Disposition": name})

    @router.get("/{delivery_id}/message.html")
    @page(Role.SUPPORT)
    async def show_mail(request: Request, delivery_id: UUID, caller: CallerOf) -> Response:
        """The mail's HTML by itself, shut in."""
        # In its frame it is part of a page that was noted already.
        is_framed = request.headers.get("sec-fetch-dest") == "iframe"
        content = await (desk.content(delivery_id) if is_framed else desk.content_for(delivery_id, caller))
        html = _part(_read(content), "html") or ""
        headers = {"Content-Security-Policy": MAIL_CSP, "X-Frame-Options": "SAMEORIGIN"}
        return HTMLResponse(html, headers=headers)


class _Desk:
    def __init__(self, database: Database, peers: Peers) -> None:
        self._database = database
        self._peers = peers

    async def look(self, delivery_id: UUID, caller: Caller) -> dict[str, Any]:
        """What notifications knows is shown as it says it; when it is down, what we heard of it."""
        async with self._database.begin() as uow:
            row = await queries.find_delivery(uow.session, delivery_id)
        history, content, is_down = None, None, False
        try:
            history = await self._peers.find_delivery(delivery_id)
            if history is not None and history["delivery"]["has_content"] and caller.may(Role.SUPPORT):
                content = await self._peers.find_content(delivery_id)
        except (PeerDown, PeerRefused):
            is_down = True
        if row is None and history is None and not is_down:
            raise _no_delivery(delivery_id)
        if content is not None:
            await self._note(delivery_id, caller, row and row.company_id)
        return {
            "delivery_id": delivery_id,
            "row": row,
            "delivery": history and history["delivery"],
            "states": [{**state, "at": from_iso(state["at"])} for state in history["states"]]
            if history
            else [],
            "is_down": is_down,
            "mail": content and _mail(content),
        }

    async def content(self, delivery_id: UUID) -> bytes:
        """Raises Problem."""
        try:
            content = await self._peers.find_content(delivery_id)
        except (PeerDown, PeerRefused) as error:
            raise Problem(
                503, "peer_down", "Indisponible", "Le service des notifications ne répond pas : réessayez."
            ) from error
        if content is None:
            raise _no_delivery(delivery_id)
        return content

    async def content_for(self, delivery_id: UUID, caller: Caller) -> bytes:
        content = await self.content(delivery_id)
        await self._note(delivery_id, caller, None)
        return content

    async def _note(self, delivery_id: UUID, caller: Caller, company_id: UUID | None) -> None:
        """Who reads a customer's mail is known."""
        deed = caller.did("delivery.content_seen", subject=f"delivery:{delivery_id}", company_id=company_id)
        async with self._database.begin() as uow:
            await queries.add_audit(uow.session, deed, uow.now)


def _company(text: str) -> tuple[UUID | None, str]:
    """The id, or what is wrong with it."""
    if not text:
        return None, ""
    try:
        return UUID(text), ""
    except ValueError:
        return None, "Ce n’est pas l’identifiant d’une entreprise : copiez-le de sa fiche."


def _read(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=modern)


def _mail(content: bytes) -> dict[str, Any]:
    message = _read(content)
    return {
        "headers": [(name, str(message[name])) for name in SHOWN_HEADERS if message[name]],
        "text": _part(message, "plain") or "",
        "has_html": _part(message, "html") is not None,
        "source": content.decode("utf-8", errors="replace"),
        "size": len(content),
    }


def _part(message: EmailMessage, kind: str) -> str | None:
    body = message.get_body((kind,))
    if body is None:
        return None
    try:
        return str(body.get_content())
    except (LookupError, KeyError):
        return None


def _no_delivery(delivery_id: UUID) -> Problem:
    return Problem(
        404, "delivery_not_found", "Envoi introuvable", f"Aucun envoi n’a l’identifiant {delivery_id}."
    )
