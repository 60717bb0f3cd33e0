"""The scheduler's internal door: what will be told, to whom, before it is. It reads and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import BaseModel, SecretStr
from sqlalchemy import Row

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
    """Hand both back as `after_due_at` and `after_company_id` for the next page."""

    after_due_at: datetime
    after_company_id: UUID


class Forecast(BaseModel):
    now: datetime
    until: datetime
    coming: list[Coming]
    next: Cursor | None


def create_router(database: Database, steps: Sequence[Step], key: SecretStr | None) -> APIRouter:
    router = APIRouter(prefix="/internal", dependencies=[Depends(InternalKey(key))])

    @router.get("/forecast")
    async def show_forecast(
        days: Annotated[float, Query(gt=0, le=LONGEST_DAYS)] = 7,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        after_due_at: datetime | None = None,
        after_company_id: UUID | None = None,
    ) -> Forecast:
        """What will be told in the coming days to companies known today, soonest first."""
        after = _after(after_due_at, after_company_id)
        async with database.begin() as uow:
            until = uow.now + timedelta(days=days)
            rows = await queries.list_coming(
                uow.session, steps, now=uow.now, until=until, after=after, limit=limit + 1
            )
        by_position = {step.position: step for step in steps}
        coming = [_coming(by_position[row.position], row) for row in rows[:limit]]
        cursor = None
        if len(rows) > limit:
            cursor = Cursor(after_due_at=coming[-1].due_at, after_company_id=coming[-1].company_id)
        return Forecast(now=uow.now, until=until, coming=coming, next=cursor)

    return router


def _coming(step: Step, row: Row[Any]) -> Coming:
    return Coming(
        routine=step.routine,
        step=step.name,
        company_id=row.company_id,
        name=row.name,
        email=row.email,
        registered_at=row.registered_at,
        due_at=row.due_at,
        expires_at=step.expires_at(row.registered_at),
    )


def _after(due_at: datetime | None, company_id: UUID | None) -> tuple[datetime, UUID] | None:
    if due_at is None or company_id is None:
        return None
    if due_at.tzinfo is None:
        raise HTTPException(422, "after_due_at must name its time zone, such as 2026-11-23T10:00:00Z")
    return due_at, company_id
