"""Read-only, for the admin pages: deliveries by company, kind, status and day; one with all its steps."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BinasciiError
from datetime import date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from libs.common.database import Database
from libs.common.internal_key import InternalKey
from services.notifications import queries
from services.notifications.queries.showing import Place, Wanted
from services.notifications.settings import NotificationsSettings

PARIS = ZoneInfo("Europe/Paris")

LONGEST_WORD = 100


class Filters(BaseModel):
    """Which deliveries: all that is named must hold. `day`: made on that day, in Paris; `after`: `next` of
    the page before."""

    model_config = ConfigDict(extra="forbid")

    company_id: UUID | None = None
    kind: str | None = Field(default=None, max_length=LONGEST_WORD)
    channel: str | None = Field(default=None, max_length=LONGEST_WORD)
    status: str | None = Field(default=None, max_length=LONGEST_WORD)
    day: date | None = None
    limit: int = Field(default=50, ge=1, le=500)
    after: str | None = Field(default=None, max_length=300)

    def wanted(self) -> Wanted:
        since, before = (None, None) if self.day is None else _day(self.day)
        return Wanted(self.company_id, self.kind, self.channel, self.status, since, before)


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class DeliveryAnswer(_Answer):
    """A delivery as it stands. `has_content`: its bytes are at `/internal/deliveries/{id}/content`;
    `forgotten_at`: since when they are no longer kept."""

    id: UUID
    dedup_key: str
    company_id: UUID
    kind: str
    category: str
    channel: str
    recipient: str | None
    recipient_name: str
    invoice_ids: list[str]
    billing_cycle: str | None
    stage: int | None
    status: str
    why: str | None
    answer: str | None
    attempts: int
    due_at: datetime
    expires_at: datetime
    message_id: str | None
    event_id: UUID
    event_type: str
    created_at: datetime
    sending_at: datetime | None
    settled_at: datetime | None
    forgotten_at: datetime | None
    has_content: bool


class StateAnswer(_Answer):
    """One step: what it became, why, and what the other side's server said."""

    status: str
    why: str | None
    answer: str | None
    at: datetime


class FactAnswer(_Answer):
    """The fact that made it, as it was heard; `causation_id` is the event that caused the fact."""

    event_id: UUID
    type: str
    topic: str
    occurred_at: datetime
    received_at: datetime
    causation_id: UUID | None


class DeliveryPage(BaseModel):
    """Newest first; `next` is the `after` of the following page, None on the last."""

    deliveries: list[DeliveryAnswer]
    next: str | None


class DeliveryHistory(BaseModel):
    """One delivery, whole. `fact` is None once the inbox no longer holds it."""

    delivery: DeliveryAnswer
    states: list[StateAnswer]
    fact: FactAnswer | None


class UnknownAnswer(_Answer):
    """Deliveries of a kind and channel that wait for a word."""

    kind: str
    channel: str
    count: int
    oldest_at: datetime | None


class UnknownFigures(BaseModel):
    """What nobody can tell of; which ones: `?status=unknown` of the list."""

    unknown: list[UnknownAnswer]


def create_router(database: Database, settings: NotificationsSettings) -> APIRouter:
    router = APIRouter(prefix="/internal", dependencies=[Depends(InternalKey(settings.interne_apikey))])

    @router.get("/deliveries")
    async def list_deliveries(filters: Annotated[Filters, Query()]) -> DeliveryPage:
        """401 without the internal key, 422 for a filter that is not there or a cursor that is none."""
        place, limit = _place(filters.after) if filters.after else None, filters.limit
        wanted = filters.wanted()
        async with database.begin() as uow:
            rows = await queries.list_deliveries(uow.session, wanted, after=place, limit=limit + 1)
        page = [DeliveryAnswer.model_validate(row) for row in rows[:limit]]
        last = page[-1] if len(rows) > limit else None
        return DeliveryPage(deliveries=page, next=last and _cursor(Place(last.created_at, last.id)))

    @router.get("/deliveries/{delivery_id}")
    async def show_delivery(delivery_id: UUID) -> DeliveryHistory:
        """404 for one that there is not."""
        async with database.begin() as uow:
            found = await queries.find_delivery(uow.session, delivery_id)
            if found is None:
                raise HTTPException(404, "there is no such delivery")
            states = await queries.list_states(uow.session, delivery_id)
            fact = await queries.find_fact(uow.session, found.event_id)
        return DeliveryHistory(
            delivery=DeliveryAnswer.model_validate(found),
            states=[StateAnswer.model_validate(state) for state in states],
            fact=None if fact is None else FactAnswer.model_validate(fact),
        )

    @router.get("/unknown-deliveries")
    async def show_unknown() -> UnknownFigures:
        async with database.begin() as uow:
            rows = await queries.count_unknown_by_kind(uow.session)
        return UnknownFigures(unknown=[UnknownAnswer.model_validate(row) for row in rows])

    return router


def _day(day: date) -> tuple[datetime, datetime]:
    """From midnight to midnight in Paris: 23 or 25 hours where the clocks change."""
    try:
        return datetime.combine(day, time(), PARIS), datetime.combine(day + timedelta(days=1), time(), PARIS)
    except OverflowError as error:
        raise HTTPException(422, "no delivery was made on that day") from error


def _cursor(place: Place) -> str:
    told = json.dumps([place.created_at.isoformat(), str(place.delivery_id)])
    return urlsafe_b64encode(told.encode()).decode()


def _place(cursor: str) -> Place:
    try:
        created_at, delivery_id = json.loads(urlsafe_b64decode(cursor.encode()))
        place = Place(datetime.fromisoformat(created_at), UUID(delivery_id))
    except (ValueError, TypeError, AttributeError, BinasciiError) as error:
        raise HTTPException(422, "`after` is not the `next` of a page") from error
    if place.created_at.tzinfo is None:
        raise HTTPException(422, "`after` is not the `next` of a page")
    return place
