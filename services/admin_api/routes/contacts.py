"""The people of a company: seen, saved, removed."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Database
from services.admin_api import queries
from services.admin_api.auth import CallerOf, api
from services.admin_api.domain import Role, Scope
from services.admin_api.forms import ContactAnswer, ContactForm, ContactsAnswer
from services.admin_api.problems import Problem
from services.admin_api.routes.directory import CREDENTIALS, no_company


def create_router(database: Database) -> APIRouter:
    router = APIRouter(prefix="/api/companies/{company_id}/contacts", dependencies=CREDENTIALS)

    @router.get("")
    @api(Role.READER, Scope.READ)
    async def list_contacts(company_id: UUID, caller: CallerOf) -> ContactsAnswer:
        async with database.begin() as uow:
            await _check_company(company_id, uow.session)
            rows = await queries.list_contacts(uow.session, company_id)
        return ContactsAnswer(contacts=[ContactAnswer.model_validate(row).seen_by(caller) for row in rows])

    @router.put("/{contact_id}")
    @api(Role.SUPPORT, Scope.DIRECTORY)
    async def save_contact(
        company_id: UUID, contact_id: UUID, form: ContactForm, caller: CallerOf
    ) -> ContactAnswer:
        """A new contact under an id of the caller's choice, or the same one with other data."""
        contact = form.contact(company_id, contact_id)
        async with database.begin() as uow:
            await _check_company(company_id, uow.session)
            if not await queries.save_contact(uow.session, contact, uow.now):
                raise Problem(
                    409,
                    "contact_of_another_company",
                    "Ce contact est celui d'une autre entreprise",
                    "Choisissez un autre contact_id, ou l'entreprise de ce contact.",
                )
            deed = caller.did("contact.saved", subject=f"contact:{contact_id}", company_id=company_id)
            await queries.add_audit(uow.session, deed, uow.now)
        return ContactAnswer.model_validate(contact)

    @router.delete("/{contact_id}", status_code=204)
    @api(Role.SUPPORT, Scope.DIRECTORY)
    async def delete_contact(company_id: UUID, contact_id: UUID, caller: CallerOf) -> None:
        """Also when there is none any more."""
        async with database.begin() as uow:
            await _check_company(company_id, uow.session)
            await queries.delete_contact(uow.session, company_id, contact_id)
            deed = caller.did("contact.deleted", subject=f"contact:{contact_id}", company_id=company_id)
            await queries.add_audit(uow.session, deed, uow.now)

    return router


async def _check_company(company_id: UUID, session: AsyncSession) -> None:
    if await queries.find_company(session, company_id) is None:
        raise no_company(company_id)
