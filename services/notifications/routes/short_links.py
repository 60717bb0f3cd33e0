"""For the admin pages, « Copier le lien court »: a short link at once, or the long one with why."""

from __future__ import annotations

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from libs.common.database import Database
from libs.common.errors import PermanentFailure, TemporaryFailure
from libs.common.internal_key import InternalKey
from libs.common.jobs import brief
from libs.integrations.tinyurl import TinyUrl
from services.notifications import queries
from services.notifications.domain.links import LONGEST_URL, WhyNot, why_not
from services.notifications.settings import NotificationsSettings

_SAID = {
    WhyNot.NOT_A_LINK: "Ce n'est pas une adresse web.",
    WhyNot.HOLDS_A_LOGIN: "Cette adresse contient un identifiant : elle ne doit pas être raccourcie.",
    WhyNot.OPENS_SOMETHING: "Cette adresse ouvre quelque chose à qui la détient (facture, paiement, "
    "désinscription) : un lien court se devine, elle ne doit pas être raccourcie.",
    WhyNot.HOLDS_A_TOKEN: "Cette adresse semble contenir un secret : elle ne doit pas être raccourcie.",
}


class LinkForm(BaseModel):
    """In the body, not in the address: addresses end up in logs."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=LONGEST_URL)


class LinkAnswer(BaseModel):
    """`link` is to be copied; where `is_short` is false it is the long one, and `why` says why."""

    link: str
    is_short: bool
    why: str | None = None


def create_router(database: Database, settings: NotificationsSettings, tinyurl: TinyUrl | None) -> APIRouter:
    router = APIRouter(prefix="/internal", dependencies=[Depends(InternalKey(settings.interne_apikey))])

    @router.post("/short-links")
    async def shorten(form: LinkForm) -> LinkAnswer:
        """401 without the internal key, 422 for what must not be shortened, with why, in French. An outage of
        TinyURL is no error: the long link is answered."""
        reason = why_not(form.url)
        if reason is not None:
            raise HTTPException(422, _SAID[reason])
        async with database.begin() as uow:
            known = await queries.list_short_links(uow.session, [form.url])
        if form.url in known:
            return LinkAnswer(link=known[form.url], is_short=True)
        if tinyurl is None:
            return LinkAnswer(link=form.url, is_short=False, why="TINYURL_TOKEN n'est pas réglé.")
        if not tinyurl.has_room():
            return LinkAnswer(link=form.url, is_short=False, why="TinyURL ne répond pas pour l'instant.")
        try:
            short_url = await tinyurl.shorten(form.url)
        except (TemporaryFailure, PermanentFailure) as failure:
            return LinkAnswer(link=form.url, is_short=False, why=brief(failure))
        async with database.begin() as uow:
            short_url = await queries.mark_short(uow.session, form.url, short_url, now=uow.now)
        return LinkAnswer(link=short_url, is_short=True)

    return router
