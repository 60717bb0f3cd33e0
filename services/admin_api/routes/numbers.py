"""Phone numbers: taken into stock, given to a company, taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy import Row

from libs.common.database import Database, Uow
from services.admin_api import domain, queries
from services.admin_api.auth import CallerOf, api
from services.admin_api.domain import InvalidError, Role, Scope
from services.admin_api.forms import (
    AssignForm,
    AssignmentAnswer,
    NumberAnswer,
    NumbersAnswer,
    ReleaseForm,
    StockAnswer,
    StockForm,
)
from services.admin_api.problems import Problem, invalid
from services.admin_api.routes.directory import CREDENTIALS, no_company


def create_router(database: Database, *, rest: timedelta) -> APIRouter:
    """`rest`: how long a number that was somebody's is given to nobody."""
    router = APIRouter(prefix="/api", dependencies=CREDENTIALS)

    _add_stock(router, database)
    _add_release(router, database, rest)
    return router


def _add_stock(router: APIRouter, database: Database) -> None:
    @router.post("/numbers", status_code=201)
    @api(Role.SUPPORT, Scope.NUMBERS)
    async def stock_numbers(form: StockForm, caller: CallerOf) -> StockAnswer:
        """Each once: those that the directory knows already stay as they are."""
        numbers = form.cleaned()
        async with database.begin() as uow:
            new = await queries.stock_numbers(uow.session, numbers, uow.now)
            for number in new:
                await uow.publish(domain.stocked(number, uow.now))
            if new:
                deed = caller.did("number.stocked", numbers=sorted(new))
                await queries.add_audit(uow.session, deed, uow.now)
        return StockAnswer(stocked=len(new), known=len(numbers) - len(new))

    @router.get("/companies/{company_id}/numbers")
    @api(Role.READER, Scope.READ)
    async def list_numbers(company_id: UUID) -> NumbersAnswer:
        async with database.begin() as uow:
            await _check_company(company_id, uow)
            numbers = await queries.list_numbers(uow.session, company_id)
            history = await queries.list_assignments(uow.session, company_id)
        return NumbersAnswer(
            numbers=[NumberAnswer.model_validate(row) for row in numbers],
            history=[AssignmentAnswer.model_validate(row) for row in history],
        )

    @router.post("/companies/{company_id}/numbers", status_code=201)
    @api(Role.SUPPORT, Scope.NUMBERS)
    async def assign_number(
        company_id: UUID, form: AssignForm, response: Response, caller: CallerOf
    ) -> NumberAnswer:
        """201 with the number; 200 when this very number is the company's already. With a prefix, each call
        gives one more."""
        async with database.begin() as uow:
            row, is_new = await _assign(company_id, form, uow)
            if is_new:
                deed = caller.did("number.assigned", subject=f"number:{row.number}", company_id=company_id)
                await queries.add_audit(uow.session, deed, uow.now)
        response.status_code = 201 if is_new else 200
        return NumberAnswer.model_validate(row)


def _add_release(router: APIRouter, database: Database, rest: timedelta) -> None:
    @router.post("/companies/{company_id}/numbers/{number}/release")
    @api(Role.SUPPORT, Scope.NUMBERS)
    async def release_number(
        company_id: UUID, number: str, form: ReleaseForm, caller: CallerOf
    ) -> NumberAnswer:
        """The number is the company's no more. Released already: the same answer, and nothing is told."""
        async with database.begin() as uow:
            row = await _take_back(company_id, _cleaned(number), form, uow, rest)
            deed = caller.did(
                "number.released",
                subject=f"number:{row.number}",
                company_id=company_id,
                reason=form.reason,
                requested_by=form.requested_by,
            )
            await queries.add_audit(uow.session, deed, uow.now)
        return NumberAnswer.model_validate(row)


async def _assign(company_id: UUID, form: AssignForm, uow: Uow) -> tuple[Row[Any], bool]:
    """The number, and whether the company has it only now. Raises Problem."""
    await uow.lock(str(company_id))
    await _check_company(company_id, uow)
    row = await _find_for(company_id, form, uow)
    if row.company_id == company_id:
        return row, False
    contract_id = form.legacy_contract_id
    await queries.assign_number(
        uow.session, row.number, company_id, now=uow.now, legacy_contract_id=contract_id
    )
    await uow.publish(domain.assigned(row.number, company_id, contract_id, uow.now))
    return await _found(row.number, uow), True


async def _take_back(company_id: UUID, number: str, form: ReleaseForm, uow: Uow, rest: timedelta) -> Row[Any]:
    """Raises Problem for a number that the company never had."""
    await uow.lock(str(company_id))
    await _check_company(company_id, uow)
    row = await _found(number, uow)
    if row.company_id != company_id:
        if not await _had(company_id, number, uow):
            raise _not_its_number(number)
        return row
    await queries.release_number(
        uow.session,
        number,
        now=uow.now,
        free_from=domain.free_from(uow.now, rest),
        why=form.reason,
        released_by=form.requested_by,
    )
    await uow.publish(domain.released(number, company_id, form.reason, uow.now))
    return await _found(number, uow)


async def _found(number: str, uow: Uow) -> Row[Any]:
    """Held until the transaction ends. Raises Problem."""
    row = await queries.find_number(uow.session, number)
    if row is None:
        raise _no_number(number)
    return row


async def _find_for(company_id: UUID, form: AssignForm, uow: Uow) -> Row[Any]:
    """The number to give, held; or the one that the company has. Raises Problem."""
    if form.prefix is not None:
        found = await queries.find_free_number(uow.session, form.prefix, uow.now)
        if found is None:
            raise Problem(
                409,
                "no_free_number",
                "Aucun numéro libre",
                f"Aucun numéro libre ne commence par {form.prefix} : choisissez un autre début, ou ajoutez "
                "des numéros au stock.",
            )
        return found
    number = form.number or ""
    row = await _found(number, uow)
    if row.company_id not in (None, company_id):
        raise Problem(
            409,
            "number_taken",
            "Ce numéro est attribué",
            f"Le numéro {number} est celui d'une autre entreprise : choisissez-en un autre.",
        )
    if row.company_id is None and row.free_from > uow.now:
        raise Problem(
            409,
            "number_resting",
            "Ce numéro se repose",
            f"Le numéro {number} a été libéré il y a peu : il sera de nouveau libre le "
            f"{row.free_from:%d/%m/%Y}.",
        )
    return row


async def _check_company(company_id: UUID, uow: Uow) -> None:
    if await queries.find_company(uow.session, company_id) is None:
        raise no_company(company_id)


async def _had(company_id: UUID, number: str, uow: Uow) -> bool:
    return any(row.number == number for row in await queries.list_assignments(uow.session, company_id))


def _cleaned(number: str) -> str:
    try:
        return domain.clean_phone(number)
    except InvalidError as error:
        raise invalid([{"code": error.code, "where": "number", "message": str(error)}]) from error


def _no_number(number: str) -> Problem:
    return Problem(
        404,
        "number_not_found",
        "Numéro inconnu",
        f"Le numéro {number} n'est pas des nôtres : ajoutez-le d'abord au stock.",
    )


def _not_its_number(number: str) -> Problem:
    return Problem(
        409,
        "number_of_another",
        "Ce numéro n'est pas à cette entreprise",
        f"Le numéro {number} n'a jamais été attribué à cette entreprise : rien n'a été libéré.",
    )
