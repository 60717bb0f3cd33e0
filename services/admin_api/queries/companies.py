"""Companies of the directory."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.admin_api.domain import Company

_COMPANY = "company_id, name, email, phone, stripe_customer_id, legacy_enterprise_id, registered_at"

_ADD_COMPANY = text(f"""
    insert into companies ({_COMPANY}, created_at)
    values (:company_id, :name, :email, :phone, :stripe_customer_id, :legacy_enterprise_id, :registered_at,
            :now)
    on conflict do nothing returning company_id
""")  # noqa: S608 - our own fragment

_FIND_COMPANY = text(f"select {_COMPANY} from companies where company_id = :company_id")  # noqa: S608

_FIND_HOLDER = text("""
    select company_id, stripe_customer_id = :stripe_customer_id as has_stripe_customer_id from companies
    where stripe_customer_id = :stripe_customer_id or legacy_enterprise_id = :legacy_enterprise_id
    order by has_stripe_customer_id desc nulls last limit 1
""")


_CHANGE_COMPANY = text("""
    update companies set name = :name, email = :email, phone = :phone where company_id = :company_id
""")


async def add_company(session: AsyncSession, company: Company, now: datetime) -> bool:
    """False when its id, its Stripe customer or its legacy id is another company's already."""
    values = {name: getattr(company, name) for name in Company.__slots__}
    return (await session.execute(_ADD_COMPANY, {**values, "now": now})).first() is not None


async def find_company(session: AsyncSession, company_id: UUID) -> Company | None:
    row = (await session.execute(_FIND_COMPANY, {"company_id": company_id})).one_or_none()
    return None if row is None else Company(**row._mapping)


async def find_holder(session: AsyncSession, company: Company) -> tuple[UUID, str] | None:
    """Whose the Stripe customer or the legacy id of this company is, and which of the two fields it is."""
    values = {
        "stripe_customer_id": company.stripe_customer_id,
        "legacy_enterprise_id": company.legacy_enterprise_id,
    }
    row = (await session.execute(_FIND_HOLDER, values)).one_or_none()
    if row is None:
        return None
    return row.company_id, "stripe_customer_id" if row.has_stripe_customer_id else "legacy_enterprise_id"


async def change_company(session: AsyncSession, company: Company) -> None:
    """Its name and addresses; hold its stream."""
    values = {
        "company_id": company.company_id,
        "name": company.name,
        "email": company.email,
        "phone": company.phone,
    }
    await session.execute(_CHANGE_COMPANY, values)
