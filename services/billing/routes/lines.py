"""Read-only, for the phone platform and the admin pages: what is wanted of a company's lines."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Row

from libs.common.database import Database
from services.billing import queries
from services.billing.domain import EMERGENCY_NUMBERS, Wanted
from services.billing.settings import BillingSettings

RELEASES_SHOWN = 20


class WishAnswer(BaseModel):
    """A wish and what the platform said to it."""

    model_config = ConfigDict(from_attributes=True)

    wish_id: UUID
    wanted: str
    number: str | None
    episode: int | None
    why: str
    state: str
    since_at: datetime
    tries: int
    last_answer: str | None
    accepted_at: datetime | None
    settled_at: datetime | None


class Lines(BaseModel):
    """`wanted` is normal for a company of which nothing was ever wanted; `wish` is where that comes from,
    `confirmed` the last that the platform did. The numbers in `reachable` are so whatever is wanted."""

    company_id: UUID
    wanted: str
    wish: WishAnswer | None
    confirmed: WishAnswer | None
    numbers: list[str]
    reachable: list[str]
    releases: list[WishAnswer]


def create_lines_router(database: Database, settings: BillingSettings) -> APIRouter:
    router = APIRouter(prefix="/internal")

    @router.get("/lines/{company_id}")
    async def show_lines(company_id: UUID, x_api_key: Annotated[str, Header()] = "") -> Lines:
        """Opens with INTERNE_APIKEY or with the platform's own PLATFORM_API_KEY."""
        if not _opens(settings, x_api_key):
            raise HTTPException(401, "the API key is missing or wrong")
        async with database.begin() as uow:
            rows = await queries.wishes.list_latest(uow.session, company_id, releases=RELEASES_SHOWN)
            numbers = await queries.wishes.list_numbers(uow.session, company_id)
        wish = _at(rows, "wanted")
        return Lines(
            company_id=company_id,
            wanted=wish.wanted if wish else Wanted.NORMAL,
            wish=wish,
            confirmed=_at(rows, "confirmed"),
            numbers=numbers,
            reachable=list(EMERGENCY_NUMBERS),
            releases=[WishAnswer.model_validate(row) for row in rows if row.place == "release"],
        )

    return router


def _at(rows: list[Row[Any]], place: str) -> WishAnswer | None:
    return next((WishAnswer.model_validate(row) for row in rows if row.place == place), None)


def _opens(settings: BillingSettings, given: str) -> bool:
    """Both are always compared, so that the time says nothing of which there is."""
    keys = [key.get_secret_value() for key in (settings.interne_apikey, settings.platform_api_key) if key]
    return True in [hmac.compare_digest(key.encode(), given.encode()) for key in keys]
