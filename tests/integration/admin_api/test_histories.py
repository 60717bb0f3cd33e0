"""What was told of a company is kept once, in any order, in sentences that name nobody."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.common.events import CompanyEvent
from libs.common.events.billing import InvoiceUnpaid, LineCut, MethodTried
from libs.common.router import Heard
from services.admin_api.domain.happenings import KEPT, amount, said_of
from services.admin_api.handlers import router
from services.admin_api.words import WORDS
from tests.integration.admin_api.builders import NOW, admin_database, heard, sent
from tests.integration.admin_api.people import signed_in
from tests.world import World, until

EXAMPLES = Path(__file__).parents[2] / "contract" / "examples"
PERSONAL = ("customer_name", "customer_email", "name", "email", "pay_url", "card_url", "hosted_invoice_url")


def example(event: type[CompanyEvent]) -> CompanyEvent:
    return event.from_bytes((EXAMPLES / f"{event.type}.json").read_bytes())


@pytest.mark.parametrize("event", KEPT, ids=lambda event: event.type)
def test_every_fact_has_a_french_name_and_a_sentence_that_names_nobody(event: type[CompanyEvent]) -> None:
    assert event.type in WORDS["fact"]
    told = example(event)
    said = said_of(told)
    values = json.loads(told.to_bytes())
    for name in PERSONAL:
        if values.get(name):
            assert str(values[name]) not in said
    assert "None" not in said


def test_every_company_fact_of_billing_and_the_clock_is_kept_but_those_that_say_nothing_new() -> None:
    from libs.common.events import EVENTS

    tellers = {"billing", "scheduler"}
    told = {e for e in EVENTS.values() if issubclass(e, CompanyEvent) and e.teller() in tellers}
    # Asked for each morning, each fortnight: what comes of them is told.
    assert {e.type for e in told - set(KEPT)} == {
        "scheduler.cutoff_due.v1",
        "scheduler.subscription_check_due.v1",
    }


def unpaid(company_id: UUID) -> InvoiceUnpaid:
    one = example(InvoiceUnpaid).model_copy(update={"company_id": company_id})
    assert isinstance(one, InvoiceUnpaid)
    tried = (
        MethodTried(
            payment_method_id="pm_1", label="Visa •••• 4242", outcome="declined", decline_code="lost_card"
        ),
        MethodTried(payment_method_id="pm_2", label="SEPA •••• 3000", outcome="skipped"),
    )
    return one.model_copy(
        update={"attempts": tried, "invoice_id": "in_7", "total_due_cents": 101290, "currency": "eur"}
    )


def test_an_unpaid_invoice_says_what_was_tried_and_why_it_failed() -> None:
    said = said_of(unpaid(uuid4()))
    assert "in_7" in said
    assert "1\u202f012,90\u00a0€" in said
    assert said.endswith("essayés : Visa •••• 4242 (lost_card), SEPA •••• 3000 (skipped)")


def test_amounts_are_french() -> None:
    assert amount(5, "eur") == "0,05\u00a0€"
    assert amount(-123456789, "usd") == "-1\u202f234\u202f567,89\u00a0$"
    assert amount(100, "xpf") == "1,00\u00a0XPF"


async def fold(world: World, facts: list[Heard[Any]]) -> list[dict[str, Any]]:
    async with admin_database(world) as database, database.begin() as uow:
        for fact in facts:
            await router.folds[fact.event.type]([fact], uow.session)
    return await world.rows("admin_api", "select * from company_facts order by event_id")


async def test_the_same_rows_whatever_the_order_and_however_often(world: World) -> None:
    facts = [heard(example(event)) for event in KEPT]
    first = await fold(world, facts)
    assert len(first) == len(KEPT)
    rng = random.Random(7)
    for _ in range(3):
        again = [*facts, *rng.choices(facts, k=10)]
        rng.shuffle(again)
        assert await fold(world, again) == first
    await world.rows("admin_api", "truncate company_facts")
    rng.shuffle(facts)
    assert await fold(world, facts) == first


async def test_a_page_leads_from_what_was_sent_and_cut_to_what_caused_it(world: World) -> None:
    """From Kafka to the page: why was this line cut, and why was this mail sent?"""
    company_id = uuid4()
    await world.rows(
        "admin_api",
        "insert into companies (company_id, name, email, registered_at, created_at) "
        "values ($1, 'M', 'm@m.example', $2, $2)",
        *(company_id, NOW),
    )
    async with signed_in(world) as browser:
        cause = unpaid(company_id)
        await world.tell(cause)
        cut = example(LineCut).model_copy(update={"company_id": company_id, "why": "policy"})
        mail = sent(company_id, at=NOW).accepted()
        for event in (cut, mail):
            await world.tell_caused(event, cause.event_id)

        async def rows() -> bool:
            kept = await world.rows("admin_api", "select cause_id from company_facts")
            sent_ = await world.rows("admin_api", "select cause_id from deliveries")
            return len(kept) == 2 and len(sent_) == 1

        await until(rows, what="the facts in the history")
        page = (await browser.get(f"/entreprises/{company_id}")).text
    history = page.partition('id="histoire"')[2]
    assert "Lignes coupées" in history
    assert f'<tr id="f-{cause.event_id}">' in history
    assert history.count(f'href="#f-{cause.event_id}"') == 2
