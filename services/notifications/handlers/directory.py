"""Our own copy of whom to write to: folds, right in any order and however often."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.directory import CompanyRegistered, CompanyUpdated
from libs.common.router import Heard
from services.notifications import queries
from services.notifications.handlers.router import router


@router.fold(CompanyRegistered)
async def keep_companies(heard: Sequence[Heard[CompanyRegistered]], session: AsyncSession) -> None:
    await queries.fold_companies(session, heard)


@router.fold(CompanyUpdated)
async def keep_changes(heard: Sequence[Heard[CompanyUpdated]], session: AsyncSession) -> None:
    await queries.fold_companies(session, heard)
