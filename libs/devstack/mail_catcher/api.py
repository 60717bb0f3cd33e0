"""The JSON API: what was caught, how often, and the tests' orders."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response

from libs.devstack.mail_catcher import reading
from libs.devstack.mail_catcher.models import Answer, FullMail, Mail, MailCount, MailPage
from libs.devstack.mail_catcher.simulation import Simulation
from libs.devstack.mail_catcher.store import MailStore

LARGEST_PAGE = 10_000


def router(store: MailStore, simulation: Simulation) -> APIRouter:
    routes = APIRouter()
    _add_mails(routes, store)
    _add_orders(routes, simulation)

    @routes.get("/healthz")
    async def is_alive() -> dict[str, str]:
        return {"status": "ok"}

    return routes


def _add_mails(routes: APIRouter, store: MailStore) -> None:
    @routes.get("/api/mails")
    async def list_mails(
        recipient: str | None = None,
        kind: str | None = None,
        text: str | None = None,
        limit: Annotated[int, Query(ge=0, le=LARGEST_PAGE)] = 100,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> MailPage:
        found = list(store.search(recipient=recipient, kind=kind, text=text))
        return MailPage(total=len(found), mails=tuple(islice(found, offset, offset + limit)))

    @routes.get("/api/counts")
    async def count_mails() -> list[MailCount]:
        return store.counts()

    @routes.get("/api/mails/{mail_id}")
    def get_mail(mail_id: str) -> FullMail:
        mail, source = get(store, mail_id)
        return reading.full_mail(mail, source)

    @routes.get("/api/mails/{mail_id}/source")
    def get_source(mail_id: str) -> Response:
        _, source = get(store, mail_id)
        return Response(source, media_type="message/rfc822", headers={"X-Content-Type-Options": "nosniff"})

    @routes.delete("/api/mails")
    async def delete_mails() -> dict[str, int]:
        return {"deleted": store.delete_all()}


def _add_orders(routes: APIRouter, simulation: Simulation) -> None:
    @routes.post("/_sim/answer", status_code=201)
    async def order_answer(answer: Answer) -> Answer:
        simulation.order(answer)
        return answer

    @routes.get("/_sim/answer")
    async def list_orders() -> list[Answer]:
        return simulation.waiting()

    @routes.delete("/_sim/answer", status_code=204)
    async def forget_orders() -> None:
        simulation.reset()


def get(store: MailStore, mail_id: str) -> tuple[Mail, bytes]:
    """The mail and its bytes. Raises 404."""
    mail = store.find(mail_id)
    try:
        if mail is not None:
            return mail, store.source_of(mail)
    except FileNotFoundError:
        pass
    raise HTTPException(404, "Ce mail n'existe pas, ou plus.")
