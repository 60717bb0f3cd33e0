"""Whom to write to, as the directory tells: each field as it was told last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.directory import CompanyRegistered, CompanyUpdated
from libs.common.router import Heard
from services.notifications.domain import Contact

FIELDS = ("name", "email", "phone")

HeardCompany: TypeAlias = Heard[CompanyRegistered] | Heard[CompanyUpdated]

# Sorted, as in every fold: two readers that raise the same companies then wait for each other, never both.
_FOLD = text(f"""
    insert into companies as c (company_id, {", ".join(f"{f}, {f}_revision" for f in FIELDS)})
    select company_id, {", ".join(f"{f}, {f}_revision" for f in FIELDS)}
    from unnest(
        cast(:company_ids as uuid[]),
        {", ".join(f"cast(:{f}s as text[]), cast(:{f}_revisions as bigint[])" for f in FIELDS)}
    ) as heard (company_id, {", ".join(f"{f}, {f}_revision" for f in FIELDS)})
    order by company_id
    on conflict (company_id) do update set
        {
    ", ".join(
        f"{f} = case when excluded.{f}_revision > c.{f}_revision then excluded.{f} else c.{f} end, "
        f"{f}_revision = greatest(excluded.{f}_revision, c.{f}_revision)"
        for f in FIELDS
    )
}
""")  # noqa: S608 - our own column names

_FIND = text("select name, email, phone from companies where company_id = :company_id")


async def fold_companies(session: AsyncSession, heard: Sequence[HeardCompany]) -> None:
    """What a change does not give stays as it was."""
    newest: dict[UUID, dict[str, tuple[str | None, int]]] = {}
    for each in heard:
        revision = each.envelope.revision or 0
        fields = newest.setdefault(each.event.company_id, dict.fromkeys(FIELDS, (None, -1)))
        for field in FIELDS:
            value = getattr(each.event, field)
            if value is not None and revision > fields[field][1]:
                fields[field] = (value, revision)
    values: dict[str, Any] = {"company_ids": list(newest)}
    for field in FIELDS:
        values[f"{field}s"] = [fields[field][0] for fields in newest.values()]
        values[f"{field}_revisions"] = [fields[field][1] for fields in newest.values()]
    await session.execute(_FOLD, values)


async def find_contact(session: AsyncSession, company_id: UUID) -> Contact:
    """An empty one for a company that was not heard of."""
    row = (await session.execute(_FIND, {"company_id": company_id})).one_or_none()
    return Contact(*row) if row else Contact()
