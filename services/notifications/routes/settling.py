"""A person settles what nobody else can tell."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, Field

from libs.common.database import Database
from libs.common.internal_key import InternalKey
from services.notifications.settings import NotificationsSettings
from services.notifications.settling import NotUnknownError, Settled, settle_unknown


class SettleRequest(BaseModel):
    """`by`: who found it out."""

    outcome: Settled
    by: Annotated[str, Field(min_length=1, max_length=200)]


class SettleAnswer(BaseModel):
    """Where the delivery stands now."""

    status: str


def create_router(database: Database, settings: NotificationsSettings) -> APIRouter:
    router = APIRouter(
        prefix="/internal/deliveries", dependencies=[Depends(InternalKey(settings.interne_apikey))]
    )

    @router.post("/{delivery_id}/settle")
    async def settle(delivery_id: UUID, request: SettleRequest) -> SettleAnswer:
        """409 where there is nothing to settle."""
        try:
            status = await settle_unknown(database, delivery_id, request.outcome, by=request.by)
        except NotUnknownError as error:
            raise HTTPException(409, str(error)) from error
        return SettleAnswer(status=status)

    return router
