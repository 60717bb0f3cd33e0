"""Whom to write to where a fact does not say: whom the directory names, as it was told last."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from libs.common.database import Database
from libs.common.events.directory import CompanyRegistered, CompanyUpdated
from libs.common.router import Heard
from services.notifications import handlers
from tests.integration.notifications.office import Office
from tests.integration.scheduler.builders import heard
from tests.unit.notifications.facts import CYCLE, Customer
from tests.world import until

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)


def registered(company_id: UUID, **changes: Any) -> CompanyRegistered:
    values = {"name": "Éts Ménard", "email": "avant@exemple.fr", "phone": "06 12 34 56 78", **changes}
    return CompanyRegistered(company_id=company_id, registered_at=AT, **values)


def updated(company_id: UUID, **changes: Any) -> CompanyUpdated:
    return CompanyUpdated(company_id=company_id, updated_at=AT, **changes)


async def test_a_fact_without_an_address_goes_to_whom_the_directory_names(office: Office) -> None:
    customer, stranger = Customer(email=None), Customer(email=None)
    async with office.open():
        await office.world.tell(registered(customer.company_id))
        await office.world.tell(updated(customer.company_id, email="apres@exemple.fr"), revision=2)

        async def is_known() -> bool:
            rows = await office.world.rows("notifications", "select email from companies")
            return [row["email"] for row in rows] == ["apres@exemple.fr"]

        await until(is_known, what="the company's address")
        await office.world.tell(customer.unpaid("in_1"))
        await office.world.tell(stranger.unpaid("in_2"))
        await office.until_status("unpaid:in_1:1", "accepted")
        nobody = await office.until_status("unpaid:in_2:1", "suppressed")
    assert nobody["why"] == "no_address"
    assert await office.mails.counts() == {("apres@exemple.fr", "unpaid", CYCLE): 1}


async def test_any_order_and_any_repetition_name_the_same_contact(office: Office) -> None:
    one, other = uuid4(), uuid4()
    facts: list[Heard[Any]] = [
        heard(registered(one)),
        heard(updated(one, email="deux@exemple.fr"), revision=2),
        heard(updated(one, phone="07 00 00 00 00"), revision=3),
        heard(updated(one, email="quatre@exemple.fr", name="Ménard & Fils"), revision=4),
        heard(registered(other, phone=None)),
    ]
    database = Database(
        office.settings().service_database_url("notifications"),
        service="notifications",
        teller="notifications",
        clock=lambda: AT,
    )
    try:
        for seed in range(30):
            rng = random.Random(seed)
            told = rng.choices(facts, k=3) + facts
            rng.shuffle(told)
            await office.world.rows("notifications", "truncate companies")
            while told:
                size = rng.randint(1, 4)
                batch, told = told[:size], told[size:]
                async with database.begin() as uow:
                    for kind in (CompanyRegistered, CompanyUpdated):
                        of_kind = [each for each in batch if isinstance(each.event, kind)]
                        if of_kind:
                            await handlers.router.folds[kind.type](of_kind, uow.session)
            rows = await office.world.rows(
                "notifications", "select company_id, name, email, phone from companies"
            )
            assert {tuple(row.values()) for row in rows} == {
                (one, "Ménard & Fils", "quatre@exemple.fr", "07 00 00 00 00"),
                (other, "Éts Ménard", "avant@exemple.fr", None),
            }, f"seed {seed}"
    finally:
        await database.close()
