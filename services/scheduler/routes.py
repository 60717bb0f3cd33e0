"""The scheduler's internal door: how routines stand, what people ask of them, and what will be told."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, NoReturn
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import AwareDatetime, BaseModel, Field, SecretStr

from libs.common.internal_key import InternalKey
from services.scheduler.control import Control, RefusedError, Standing
from services.scheduler.control import Slot as BackfilledSlot
from services.scheduler.domain import RunStatus

LONGEST_DAYS = 366

Words = Annotated[str, Field(min_length=1, max_length=500)]
Who = Annotated[str, Field(min_length=1, max_length=200)]


class Coming(BaseModel):
    """A fact that will be told at `tells_at` unless something happens before."""

    routine: str
    step: str
    fact: str
    company_id: UUID
    name: str | None
    email: str | None
    why: str
    due_at: datetime
    tells_at: datetime
    expires_at: datetime | None


class Cursor(BaseModel):
    """Hand all three back for the next page."""

    after_due_at: datetime
    after_company_id: UUID
    after_step: str


class Forecast(BaseModel):
    now: datetime
    until: datetime
    coming: list[Coming]
    next: Cursor | None


class Run(BaseModel):
    """A run; `triggered_by` and `triggered_why` are of runs that a person asked for."""

    routine: str
    due_at: datetime
    trigger: str
    triggered_by: str | None
    triggered_why: str | None
    status: str
    why: str | None
    attempts: int
    looked_at: int
    told: int
    skipped: int
    planned_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Pausing(BaseModel):
    by: Who
    why: Words
    until: AwareDatetime | None = None


class Resuming(BaseModel):
    by: Who


class Asking(BaseModel):
    by: Who
    why: Words


class Backfill(BaseModel):
    """`is_preview`: nothing is worked; what would be told is counted."""

    since: AwareDatetime
    until: AwareDatetime
    is_preview: bool = True
    by: Who
    why: Words


class Moment(BaseModel):
    due_at: datetime


def create_router(control: Control, key: SecretStr | None) -> APIRouter:
    router = APIRouter(prefix="/internal/scheduler", dependencies=[Depends(InternalKey(key))])
    _add_looks(router, control)
    _add_wishes(router, control)
    return router


def _add_looks(router: APIRouter, control: Control) -> None:
    @router.get("/routines")
    async def list_routines() -> list[Standing]:
        return await control.list_standings()

    @router.get("/runs")
    async def list_runs(
        routine: str | None = None,
        status: RunStatus | None = None,
        before_due_at: AwareDatetime | None = None,
        before_routine: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[Run]:
        """Latest first. The next page: the last row's `due_at` and `routine` as `before_…`."""
        before = None if before_due_at is None else (before_due_at, before_routine or "")
        try:
            rows = await control.list_runs(routine=routine, status=status, before=before, limit=limit)
        except RefusedError as error:
            refuse(error)
        return [Run(**row._mapping) for row in rows]

    @router.get("/forecast")
    async def show_forecast(
        *,
        days: Annotated[float, Query(gt=0, le=LONGEST_DAYS)] = 7,
        company_id: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        after_due_at: AwareDatetime | None = None,
        after_company_id: UUID | None = None,
        after_step: str = "",
    ) -> Forecast:
        """What will be told in the coming days by what is known today, soonest first."""
        after = None
        if after_due_at is not None and after_company_id is not None:
            after = (after_due_at, after_company_id, after_step)
        horizon, told, more = await control.forecast(
            until=timedelta(days=days), company_id=company_id, after=after, limit=limit
        )
        coming = [Coming(**asdict(each.coming), tells_at=each.tells_at) for each in told]
        cursor = None
        if more is not None:
            cursor = Cursor(after_due_at=more[0], after_company_id=more[1], after_step=more[2])
        return Forecast(now=horizon.now, until=horizon.until, coming=coming, next=cursor)


def _add_wishes(router: APIRouter, control: Control) -> None:
    @router.post("/routines/{name}/pause", status_code=204)
    async def pause(name: str, asked: Pausing) -> None:
        try:
            await control.pause(name, until=asked.until, by=asked.by, why=asked.why)
        except RefusedError as error:
            refuse(error)

    @router.post("/routines/{name}/resume", status_code=204)
    async def resume(name: str, asked: Resuming) -> None:
        try:
            await control.resume(name, by=asked.by)
        except RefusedError as error:
            refuse(error)

    @router.post("/routines/{name}/run", status_code=202)
    async def run_now(name: str, asked: Asking) -> Moment:
        try:
            return Moment(due_at=await control.run_now(name, by=asked.by, why=asked.why))
        except RefusedError as error:
            refuse(error)

    @router.post("/routines/{name}/backfill")
    async def backfill(name: str, asked: Backfill) -> list[BackfilledSlot]:
        """A preview unless `is_preview` is false."""
        try:
            if asked.is_preview:
                return await control.preview(name, since=asked.since, until=asked.until)
            return await control.backfill(
                name, since=asked.since, until=asked.until, by=asked.by, why=asked.why
            )
        except RefusedError as error:
            refuse(error)


def refuse(error: RefusedError) -> NoReturn:
    raise HTTPException(409, str(error)) from error
