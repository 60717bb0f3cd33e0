"""Phone numbers: in stock or a company's, and who had them when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

_STOCK = text("""
    insert into numbers (number, stocked_at)
    select number, :now from unnest(cast(:numbers as text[])) as n (number) order by number
    on conflict do nothing returning number
""")

_SHOWN = "number, tc, company_id, stocked_at, assigned_at, free_from, legacy_contract_id"

_FIND = text(f"select {_SHOWN} from numbers where number = :number for update")  # noqa: S608

_FIND_FREE = text(f"""
    select {_SHOWN} from numbers
    where company_id is null and free_from <= :now and number like :prefix || '%'
    order by free_from, number limit 1 for update skip locked
""")  # noqa: S608

_ASSIGN = text("""
    with assigned as (
        update numbers
        set company_id = :company_id, assigned_at = :now, legacy_contract_id = :legacy_contract_id
        where number = :number
    )
    insert into assignments (number, company_id, assigned_at, legacy_contract_id)
    values (:number, :company_id, :now, :legacy_contract_id)
""")

_RELEASE = text("""
    with released as (
        update numbers
        set company_id = null, assigned_at = null, legacy_contract_id = null, free_from = :free_from
        where number = :number
    )
    update assignments set released_at = :now, why = :why, released_by = :released_by
    where number = :number and released_at is null
""")

_LIST_OF_COMPANY = text(f"""
    select {_SHOWN} from numbers where company_id = :company_id order by number
""")  # noqa: S608

_LIST_ASSIGNMENTS = text("""
    select number, company_id, assigned_at, released_at, why, released_by, legacy_contract_id from assignments
    where company_id = :company_id order by assigned_at desc, number
""")

_COUNT_FREE = text("""
    select count(*) from numbers where company_id is null and free_from <= :now and number like :prefix || '%'
""")


async def stock_numbers(session: AsyncSession, numbers: Sequence[str], now: datetime) -> list[str]:
    """Those of them that are new."""
    rows = await session.execute(_STOCK, {"numbers": list(numbers), "now": now})
    return sorted(rows.scalars())


async def find_number(session: AsyncSession, number: str) -> Row[Any] | None:
    """Held until the transaction ends."""
    return (await session.execute(_FIND, {"number": number})).one_or_none()


async def find_free_number(session: AsyncSession, prefix: str, now: datetime) -> Row[Any] | None:
    """The one that has been free for longest, that nobody else is just taking; held."""
    return (await session.execute(_FIND_FREE, {"prefix": prefix, "now": now})).one_or_none()


async def assign_number(
    session: AsyncSession, number: str, company_id: UUID, *, now: datetime, legacy_contract_id: int | None
) -> None:
    """The number must be held, and free."""
    values = {
        "number": number,
        "company_id": company_id,
        "now": now,
        "legacy_contract_id": legacy_contract_id,
    }
    await session.execute(_ASSIGN, values)


async def release_number(
    session: AsyncSession, number: str, *, now: datetime, free_from: datetime, why: str, released_by: str
) -> None:
    """The number must be held, and a company's."""
    values = {"number": number, "now": now, "free_from": free_from, "why": why, "released_by": released_by}
    await session.execute(_RELEASE, values)


async def list_numbers(session: AsyncSession, company_id: UUID) -> list[Row[Any]]:
    return list(await session.execute(_LIST_OF_COMPANY, {"company_id": company_id}))


async def list_assignments(session: AsyncSession, company_id: UUID) -> list[Row[Any]]:
    """Which numbers a company has and had, newest first."""
    return list(await session.execute(_LIST_ASSIGNMENTS, {"company_id": company_id}))


async def count_free(session: AsyncSession, prefix: str, now: datetime) -> int:
    return int((await session.execute(_COUNT_FREE, {"prefix": prefix, "now": now})).scalar_one())
