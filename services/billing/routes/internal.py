"""Read-only, for the admin pages: a company explained, customers of nobody, what a replay would do."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import BaseModel, ConfigDict

from libs.common.database import Database
from libs.common.internal_key import InternalKey
from services.billing import accounts, queries, replay
from services.billing.figures import Figures, get_figures
from services.billing.settings import BillingSettings


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class UnmatchedCustomer(_Answer):
    """A Stripe customer who waits to be linked, and the companies that have the same address."""

    stripe_customer_id: str
    name: str | None
    email: str | None
    told_as: UUID | None
    seen_at: datetime | None
    same_email: list[str]


class UnmatchedCustomers(_Answer):
    customers: list[UnmatchedCustomer]
    next: str | None


class EffectAnswer(_Answer):
    type: str
    event_id: UUID
    is_new: bool


class Explanation(_Answer):
    """In French: the state, what led to it, what comes next and when; nothing for an unknown company."""

    lines: list[str]


class PreviewAnswer(_Answer):
    stripe_event_id: str
    type: str
    outcome: str
    effects: list[EffectAnswer]


def create_router(database: Database, settings: BillingSettings) -> APIRouter:
    router = APIRouter(prefix="/internal", dependencies=[Depends(InternalKey(settings.interne_apikey))])

    @router.get("/unmatched-customers")
    async def list_unmatched(
        after: Annotated[str, Query(max_length=255)] = "", limit: Annotated[int, Query(ge=1, le=500)] = 50
    ) -> UnmatchedCustomers:
        """Stripe customers of whom nobody knows whose they are, in the order of their ids."""
        async with database.begin() as uow:
            rows = await queries.debtors.list_unmatched(uow.session, after=after, limit=limit + 1)
        page = [UnmatchedCustomer.model_validate(row) for row in rows[:limit]]
        return UnmatchedCustomers(
            customers=page, next=page[-1].stripe_customer_id if len(rows) > limit else None
        )

    @router.get("/companies/{company_id}/explanation")
    async def explain_company(company_id: UUID) -> Explanation:
        return Explanation(lines=await accounts.explain(database, str(company_id), settings.policy))

    @router.get("/reconciliation")
    async def show_reconciliation() -> Figures:
        """What came, what was missing, what was recovered."""
        async with database.begin() as uow:
            return await get_figures(uow)

    @router.get("/stripe-events/{stripe_event_id}/replay-preview")
    async def preview_replay(stripe_event_id: str) -> PreviewAnswer:
        """What a replay with effects would tell; nothing is kept of it. 404 for an event that is not kept."""
        preview = await replay.preview(stripe_event_id, database)
        if preview is None:
            raise HTTPException(404, f"no Stripe event {stripe_event_id} is kept")
        return PreviewAnswer.model_validate(preview)

    return router
