"""What is done is in the audit, which nobody changes; what readers see hides whom it is about."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from libs.devstack.ports import free_port
from services.admin_api import queries
from services.admin_api.domain import mask_email, mask_phone, mask_words
from services.admin_api.handlers import delivery_state
from tests.integration.admin_api.builders import (
    COMPANY,
    NOW,
    admin,
    admin_database,
    admin_settings,
    heard,
    sent,
)
from tests.integration.admin_api.people import Browser, account, audited, bearer, service, signed_in
from tests.world import World

WISH = {"requested_by": "Le site", "reason": "Offert pour un an"}


async def test_what_a_program_does_is_in_the_audit_with_who_and_why(world: World) -> None:
    async with admin(world) as http:
        company_id = (await http.post("/api/companies", json=COMPANY)).json()["company_id"]
        await http.post("/api/companies", json={**COMPANY, "company_id": company_id})
        await http.patch(f"/api/companies/{company_id}", json={"name": "Martin et fils"})
        await http.patch(f"/api/companies/{company_id}", json={"name": "Martin et fils"})
        await http.post("/api/numbers", json={"numbers": ["0123456789"]})
        await http.post(f"/api/companies/{company_id}/numbers", json={"number": "0123456789"})
        await http.post(f"/api/companies/{company_id}/lifetime", json=WISH)
        await http.post("/api/stripe-events/evt_1/replay", json={"requested_by": "Le site"})
        await http.post(f"/api/companies/{uuid4()}/lifetime", json=WISH)
    rows = await audited(world)
    assert [(row["action"], str(row["company_id"] or ""), row["reason"]) for row in rows] == [
        ("company.registered", company_id, None),
        ("company.changed", company_id, None),
        ("number.stocked", "", None),
        ("number.assigned", company_id, None),
        ("wish.lifetime", company_id, "Offert pour un an"),
        ("wish.replay", "", None),
    ]
    assert {row["who"] for row in rows} == {"clé interne"}
    assert '"requested_by": "Le site"' in rows[4]["details"]


async def test_what_fails_leaves_no_trace_of_having_been_done(world: World) -> None:
    """The row is of the same transaction as what was done."""
    async with admin(world) as http:
        await http.post("/api/companies", json=COMPANY)
        taken = await http.post("/api/companies", json={**COMPANY, "company_id": str(uuid4()), "name": ""})
        assert taken.status_code == 422
    assert len(await audited(world)) == 1


@pytest.mark.parametrize("who", ["owner", "service"])
@pytest.mark.parametrize(
    "statement", ["update audit set who = 'nobody'", "delete from audit", "truncate audit"]
)
async def test_nobody_changes_the_audit(world: World, who: str, statement: str) -> None:
    await account(world)
    async with service(world) as app:
        await Browser(app).sign_in("ada@relance.example")
    url = world.database_url
    if who == "service":
        url = admin_settings(world).service_database_url("admin_api")
    connection = await asyncpg.connect(url, server_settings={"search_path": "admin_api"})
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()
    assert [row["who"] for row in await audited(world)] == ["ada@relance.example"]


async def test_the_journal_is_filtered_by_all_that_is_asked(world: World) -> None:
    company_id = uuid4()
    async with signed_in(world) as browser:
        async with admin_database(world) as database, database.begin() as uow:
            for n in range(230):
                deed = queries.Deed(
                    who="bot@relance.example" if n % 2 else "ada@relance.example",
                    action="number.released" if n % 3 else "wish.lifetime",
                    subject=f"number:+3312345{n:04}",
                    company_id=company_id if n < 5 else None,
                    reason=f"motif {n} <script>",
                )
                await queries.add_audit(uow.session, deed, uow.now - timedelta(days=n))
        first = await browser.get("/journal")
        assert "<script>" not in first.text.partition("</head>")[2]
        assert "motif 229 &lt;script&gt;" in first.text
        assert first.text.count("<tr>") == 101
        following = first.text.split('rel="next"')[0].split('href="')[-1].split('"')[0].replace("&amp;", "&")
        assert "motif 100 " in (await browser.get(following)).text
        for query, rows in (
            ("qui=Bot@relance.example&action=wish.lifetime", 38),
            (f"objet={company_id}", 5),
            ("objet=number:%2B33123450007", 1),
            ("au=2000-01-01", 0),
            ("qui=personne", 0),
        ):
            page = (await browser.get(f"/journal?{query}")).text
            assert page.count('<td data-label="Quoi">') == rows, query
        assert "Rien au journal" in (await browser.get("/journal?qui=personne")).text
        assert "pas lisible" in (await browser.get("/journal?du=demain")).text


async def a_customer(world: World) -> UUID:
    """A company with a contact, and a delivery whose answer names its address."""
    async with admin(world) as http:
        body = {**COMPANY, "phone": "06 12 34 56 78"}
        company_id = (await http.post("/api/companies", json=body)).json()["company_id"]
        contact = {"first_name": "Jeanne", "last_name": "Martin", "email": "jeanne@martin.example"}
        await http.put(f"/api/companies/{company_id}/contacts/{uuid4()}", json=contact)
    failed = (
        sent(UUID(company_id))
        .failed()
        .model_copy(update={"answer": "550 <contact@martin.example> unknown, call +33 6 12 34 56 78"})
    )
    async with admin_database(world) as database, database.begin() as uow:
        await queries.fold_deliveries(uow.session, [delivery_state(failed, heard(failed).envelope)])
    return UUID(company_id)


async def test_readers_see_whom_it_is_about_by_first_letters_only(world: World) -> None:
    company_id = await a_customer(world)
    for email, role in (("rita@relance.example", "reader"), ("sam@relance.example", "support")):
        await account(world, email, role)
    async with service(world) as app:
        seen = {}
        for who in ("rita", "sam"):
            browser = Browser(app)
            token = (await bearer(browser.http, f"{who}@relance.example"))["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            paths = (f"/api/companies/{company_id}", f"/api/companies/{company_id}/contacts",
                     f"/api/companies/{company_id}/deliveries")  # fmt: skip
            await browser.sign_in(f"{who}@relance.example")
            answers = [(await browser.get(path, headers=headers)).text for path in paths]
            seen[who] = "".join([*answers, (await browser.get("/envois")).text])
    secrets = ("contact@martin.example", "+33612345678", "6 12 34 56 78", "Jeanne", "jeanne@")
    assert [secret for secret in secrets if secret in seen["rita"]] == []
    assert [secret for secret in secrets if secret not in seen["sam"]] == []
    assert "Boulangerie Martin" in seen["rita"]
    assert "c•••@m•••.example" in seen["rita"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("550 5.1.1 <jean.martin+x@sub.exemple.fr> unknown", "550 5.1.1 <j•••@s•••.exemple.fr> unknown"),
        ("call 06 12 34 56 78 or 0033612345678.", "call ••• 78 or ••• 78."),
        ("(+33) 6.12.34.56.78", None),
        ("250 2.0.0 Ok: queued as 4F2A9C", "250 2.0.0 Ok: queued as 4F2A9C"),
        ("facture in_1Qabc12345678 du 2026-11-23", "facture in_1Qabc12345678 du 2026-11-23"),
        ("", ""),
    ],
)
def test_free_text_is_masked(text: str, masked: str | None) -> None:
    if masked is None:
        assert "12.34" not in mask_words(text)
    else:
        assert mask_words(text) == masked


def test_masks_keep_enough_to_recognize() -> None:
    assert mask_email("contact@martin.example") == "c•••@m•••.example"
    assert mask_email("@") == "@"
    assert mask_phone("+33612345678") == "••• 78"


async def test_while_the_others_are_down_pages_say_so_and_show_what_is_known(world: World) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    one = sent()
    async with signed_in(
        world, notifications_internal_url=nowhere, scheduler_internal_url=nowhere
    ) as browser:
        told = one.accepted()
        async with admin_database(world) as database, database.begin() as uow:
            await queries.fold_deliveries(uow.session, [delivery_state(told, heard(told).envelope)])
        page = await browser.get(f"/envois/{one.delivery_id}")
        assert (page.status_code, "indisponible" in page.text) == (200, True)
        assert "250 2.0.0 Ok" in page.text
        assert (await browser.get(f"/envois/{one.delivery_id}/message.eml")).status_code == 503
        routines = await browser.get("/routines")
        assert (routines.status_code, "indisponible" in routines.text) == (200, True)
        asked = await browser.send("/routines/check_cards/lancer", raison="pour voir")
        assert asked.status_code == 503
        assert "on ne sait si c’est fait" in asked.text
    actions = [row["action"] for row in await audited(world)]
    assert actions == ["session.signed_in", "routine.run_asked"], "asked, and never said to be done"


async def test_a_company_s_history_is_one_list_that_is_paged_without_loss(world: World) -> None:
    company_id = await a_customer(world)
    told = [sent(company_id, at=NOW).accepted(minutes=n // 3) for n in range(120)]
    async with admin(world) as http:
        await http.post("/api/numbers", json={"numbers": ["0123456789"]})
        await http.post(f"/api/companies/{company_id}/numbers", json={"number": "0123456789"})
        release = {"reason": "non_payment", "requested_by": "Simon"}
        await http.post(f"/api/companies/{company_id}/numbers/+33123456789/release", json=release)
    async with admin_database(world) as database, database.begin() as uow:
        states = [delivery_state(each, heard(each).envelope) for each in told]
        await queries.fold_deliveries(uow.session, states)
    nowhere = f"http://127.0.0.1:{free_port()}"
    down = dict.fromkeys(("billing_internal_url", "scheduler_internal_url"), nowhere)
    async with signed_in(world, "support", **down) as browser:
        seen: list[str] = []
        path: str | None = f"/entreprises/{company_id}"
        first = (await browser.get(path or "")).text
        while path:
            page = (await browser.get(path)).text
            rows = page.partition('id="histoire"')[2].split('<tr id="f-')[1:]
            seen.extend(rows)
            link = page.partition('rel="next"')[0].rpartition('href="')[2].split('"')[0]
            path = link.replace("&amp;", "&").partition("#")[0] if 'rel="next"' in page else None
    links = [row.split('href="/envois/')[1].split('"')[0] for row in seen if "/envois/" in row]
    assert len(links) == len(set(links)) == 121
    words = "".join(seen)
    for word in ("Entreprise inscrite", "Contact enregistré", "+33123456789 attribué", "+33123456789 libéré"):
        assert word in words
    assert first.count("indisponible") == 2, "billing and the scheduler are down, the rest is shown"
    assert "Jeanne" in first


async def test_a_company_that_nobody_knows_is_not_found(world: World) -> None:
    async with signed_in(world) as browser:
        assert (await browser.get(f"/entreprises/{uuid4()}")).status_code == 404
        assert (await browser.get("/entreprises/x")).status_code == 422


async def test_a_routine_is_not_touched_without_a_reason(world: World) -> None:
    async with signed_in(world) as browser:
        answer = await browser.send("/routines/check_cards/pause", raison="   ")
        assert "Indiquez pourquoi" in answer.text
    assert len(await audited(world)) == 1
