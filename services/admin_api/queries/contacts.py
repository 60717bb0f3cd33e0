"""The people of a company."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.admin_api.domain import Contact

_FIELDS = "first_name, last_name, email, phone, role"

# The same request again changes nothing; a company's id never moves.
_SAVE = text(f"""
    insert into contacts as c (contact_id, company_id, {_FIELDS}, created_at, updated_at)
    values (:contact_id, :company_id, :first_name, :last_name, :email, :phone, :role, :now, :now)
    on conflict (contact_id) do update set
        {", ".join(f"{name} = excluded.{name}" for name in _FIELDS.split(", "))}, updated_at = :now
    where c.company_id = excluded.company_id
    returning contact_id
""")  # noqa: S608

_LIST = text(f"""
    select contact_id, {_FIELDS}, created_at, updated_at from contacts
    where company_id = :company_id order by created_at, contact_id
""")  # noqa: S608

_DELETE = text("""
    delete from contacts where company_id = :company_id and contact_id = :contact_id returning contact_id
""")


async def save_contact(session: AsyncSession, contact: Contact, now: datetime) -> bool:
    """False when the id is a contact of another company."""
    values = {name: getattr(contact, name) for name in Contact.__slots__}
    return (await session.execute(_SAVE, {**values, "now": now})).first() is not None


async def list_contacts(session: AsyncSession, company_id: UUID) -> list[Row[Any]]:
    """In the order in which they came; the first is the main one."""
    return list(await session.execute(_LIST, {"company_id": company_id}))


async def delete_contact(session: AsyncSession, company_id: UUID, contact_id: UUID) -> bool:
    """False when the company has none of this id."""
    values = {"company_id": company_id, "contact_id": contact_id}
    return (await session.execute(_DELETE, values)).first() is not None
