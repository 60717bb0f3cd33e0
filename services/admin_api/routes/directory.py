"""The directory's doors: register a company, see one, its deliveries, and what was set aside."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Header, Query, Response, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Database, Uow
from services.admin_api import domain, queries
from services.admin_api.auth import CallerOf, api
from services.admin_api.domain import Company, InvalidError, Registration, Role, Scope
from services.admin_api.forms import (
    CompanyAnswer,
    CompanyChangeForm,
    CompanyForm,
    DeliveriesAnswer,
    DeliveryAnswer,
    SetAsideAnswer,
    SetAsidesAnswer,
    delivery_place,
    set_aside_place,
    to_cursor,
)
from services.admin_api.problems import Problem, invalid

# The doors themselves are in auth/, before any route; this tells readers of the API's description.
KEY = Security(APIKeyHeader(name="X-Api-Key", auto_error=False, description="INTERNE_APIKEY, or a key made"))
BEARER = Security(HTTPBearer(auto_error=False, description="an admin's access token"))
CREDENTIALS = [KEY, BEARER]

Limit = Annotated[int, Query(ge=1, le=500)]
After = Annotated[str | None, Query(max_length=1000, description="`next` of the page before")]


def create_router(database: Database) -> APIRouter:
    router = APIRouter(prefix="/api", dependencies=CREDENTIALS)

    _add_companies(router, database)
    _add_lists(router, database)
    return router


def _add_companies(router: APIRouter, database: Database) -> None:
    @router.post("/companies", status_code=201, responses={200: {"model": CompanyAnswer}})
    @api(Role.SUPPORT, Scope.DIRECTORY)
    async def register_company(
        form: CompanyForm,
        response: Response,
        caller: CallerOf,
        traceparent: Annotated[str | None, Header()] = None,
    ) -> CompanyAnswer:
        """201 for a new company; 200 when the same `company_id` was registered with the same data before."""
        async with database.begin() as uow:
            company, is_new = await _register(form.registration(), uow, traceparent)
            if is_new:
                deed = caller.did("company.registered", company_id=company.company_id)
                await queries.add_audit(uow.session, deed, uow.now)
        response.status_code = 201 if is_new else 200
        response.headers["Location"] = f"/api/companies/{company.company_id}"
        return CompanyAnswer.model_validate(company)

    @router.get("/companies/{company_id}")
    @api(Role.READER, Scope.READ)
    async def show_company(company_id: UUID, caller: CallerOf) -> CompanyAnswer:
        async with database.begin() as uow:
            company = await queries.find_company(uow.session, company_id)
        if company is None:
            raise no_company(company_id)
        return CompanyAnswer.model_validate(company).seen_by(caller)

    @router.patch("/companies/{company_id}")
    @api(Role.SUPPORT, Scope.DIRECTORY)
    async def change_company(company_id: UUID, form: CompanyChangeForm, caller: CallerOf) -> CompanyAnswer:
        """Its name and addresses. What is the same already is told to nobody."""
        async with database.begin() as uow:
            await uow.lock(str(company_id))
            known = await queries.find_company(uow.session, company_id)
            if known is None:
                raise no_company(company_id)
            company = domain.changed(known, form.changes())
            told = domain.company_updated(known, company, uow.now)
            if told is not None:
                await queries.change_company(uow.session, company)
                await uow.publish(told)
                changed = sorted(form.model_fields_set)
                deed = caller.did("company.changed", company_id=company_id, fields=changed)
                await queries.add_audit(uow.session, deed, uow.now)
        return CompanyAnswer.model_validate(company)


def _add_lists(router: APIRouter, database: Database) -> None:
    @router.get("/companies/{company_id}/deliveries")
    @api(Role.READER, Scope.READ)
    async def list_deliveries(
        company_id: UUID, caller: CallerOf, limit: Limit = 50, after: After = None
    ) -> DeliveriesAnswer:
        """What was sent to a company, or deliberately not, newest first."""
        before = delivery_place(after) if after else None
        async with database.begin() as uow:
            company_ids = await _ids_in_facts(uow.session, company_id)
            rows = await queries.list_deliveries(uow.session, company_ids, before=before, limit=limit + 1)
        page = [DeliveryAnswer.model_validate(row).seen_by(caller) for row in rows[:limit]]
        last = page[-1] if len(rows) > limit else None
        return DeliveriesAnswer(deliveries=page, next=last and to_cursor(last.first_at, last.delivery_id))

    @router.get("/set-aside")
    @api(Role.READER, Scope.READ)
    async def list_set_aside(caller: CallerOf, limit: Limit = 50, after: After = None) -> SetAsidesAnswer:
        """The events that some service could not work, newest first."""
        before = set_aside_place(after) if after else None
        async with database.begin() as uow:
            rows = await queries.list_set_aside(uow.session, before=before, limit=limit + 1)
        page = [SetAsideAnswer.model_validate(row).seen_by(caller) for row in rows[:limit]]
        last = page[-1] if len(rows) > limit else None
        return SetAsidesAnswer(set_aside=page, next=last and to_cursor(last.at, last.event_id, last.service))


async def _register(registration: Registration, uow: Uow, traceparent: str | None) -> tuple[Company, bool]:
    """The company, and whether it is new. Raises Problem when another registration is in the way."""
    company = _company(registration, uow)
    await uow.lock(str(company.company_id))
    known = await queries.find_company(uow.session, company.company_id)
    if known is not None:
        _refuse_other_data(known, registration)
        return known, False
    if not await queries.add_company(uow.session, company, uow.now):
        raise await _taken(company, uow.session)
    await uow.publish(domain.company_registered(company), traceparent=traceparent)
    return company, True


def _company(registration: Registration, uow: Uow) -> Company:
    try:
        return domain.register(registration, registration.company_id or uuid4(), uow.now)
    except InvalidError as error:
        raise invalid([{"code": error.code, "where": "registered_at", "message": str(error)}]) from error


def _refuse_other_data(known: Company, registration: Registration) -> None:
    different = domain.differences(known, registration)
    if different:
        raise Problem(
            409,
            "company_differs",
            "Cette entreprise existe déjà, avec d'autres données",
            "Reprenez les données enregistrées, ou choisissez un autre company_id.",
            errors=[
                {"code": "differs", "where": name, "message": "Cette valeur n'est pas celle enregistrée."}
                for name in different
            ],
        )


async def _taken(company: Company, session: AsyncSession) -> Problem:
    holder = await queries.find_holder(session, company)
    # A holder that went away in between: the same request may work now, so say that it is a conflict.
    company_id, where = holder or (company.company_id, "company_id")
    message = f"Cette valeur appartient déjà à l'entreprise {company_id}."
    return Problem(
        409,
        f"{where}_taken",
        "Une autre entreprise a déjà cet identifiant",
        f"Vérifiez {where}, ou utilisez l'entreprise existante.",
        errors=[{"code": "taken", "where": where, "message": message}],
        company_id=str(company_id),
    )


async def _ids_in_facts(session: AsyncSession, company_id: UUID) -> list[UUID]:
    """Raises Problem for a company that is neither in the directory nor written to."""
    company = await queries.find_company(session, company_id)
    if company is not None:
        return domain.ids_in_facts(company_id, company.stripe_customer_id)
    # A Stripe customer whom nobody registered is written to under a provisional company.
    if not await queries.list_deliveries(session, [company_id], before=None, limit=1):
        raise no_company(company_id)
    return [company_id]


def no_company(company_id: UUID) -> Problem:
    return Problem(
        404,
        "company_not_found",
        "Entreprise introuvable",
        f"Aucune entreprise n'a l'identifiant {company_id} : vérifiez-le.",
    )
