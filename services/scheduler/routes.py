"""The scheduler's internal door: what will be told, to whom, before it is. It reads and changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import BaseModel, SecretStr

from libs.common.database import Database
from libs.common.internal_key import InternalKey
from services.scheduler import queries
from services.scheduler.domain import Step

LONGEST_DAYS = 366


class Coming(BaseModel):
    """A step that will be told to a company unless it subscribes before."""

    routine: str
    step: str
    company_id: UUID
    name: str
    email: str
    registered_at: datetime
    due_at: datetime
    expires_at: datetime


class Cursor(BaseModel):
    """Hand both back as `after_registered_at` and `after_company_id` for the next page."""

    after_registered_at: datetime
    after_company_id: UUID


class Forecast(BaseModel):
    now: datetime
    until: datetime
    coming: list[Coming]
    next: Cursor | None


def create_router(database: Database, step: Step, key: SecretStr | None) -> APIRouter:
    router = APIRouter(prefix="/internal", dependencies=[Depends(InternalKey(key))])

    @router.get("/forecast")
    async def show_forecast(
        days: Annotated[float, Query(gt=0, le=LONGEST_DAYS)] = 7,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        after_registered_at: datetime | None = None,
        after_company_id: UUID | None = None,
    ) -> Forecast:
        """What will be told in the coming days to companies known today, soonest first."""
        after = _after(after_registered_at, after_company_id)
        async with database.begin() as uow:
            until = uow.now + timedelta(days=days)
            rows = await queries.list_coming(
                uow.session, step, now=uow.now, until=until, after=after, limit=limit + 1
            )
        coming = [
            _coming(step, row.company_id, row.name, row.email, row.registered_at) for row in rows[:limit]
        ]
        cursor = None
        if len(rows) > limit:
            cursor = Cursor(
                after_registered_at=coming[-1].registered_at, after_company_id=coming[-1].company_id
            )
        return Forecast(now=uow.now, until=until, coming=coming, next=cursor)

    return router


def _coming(step: Step, company_id: UUID, name: str, email: str, registered_at: datetime) -> Coming:
    return Coming(
        routine=step.routine,
        step=step.name,
        company_id=company_id,
        name=name,
        email=email,
        registered_at=registered_at,
        due_at=step.due_at(registered_at),
        expires_at=step.expires_at(registered_at),
    )


def _after(registered_at: datetime | None, company_id: UUID | None) -> tuple[datetime, UUID] | None:
    if registered_at is None or company_id is None:
        return None
    if registered_at.tzinfo is None:
        raise HTTPException(422, "after_registered_at must name its time zone, such as 2026-11-23T10:00:00Z")
    return registered_at, company_id
