"""Registering a company: once, told once, with clear answers when something is in the way."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import httpx

from libs.common.events.directory import CompanyRegistered
from tests.integration.admin_api.builders import COMPANY, admin
from tests.world import World, until


async def test_a_registered_company_is_told_and_can_be_seen(world: World) -> None:
    form = {
        "name": "  Boulangerie   Martin ",
        "email": " contact@Martin.Example",
        "phone": "06 12 34 56 78",
        "stripe_customer_id": "cus_1",
        "legacy_enterprise_id": 9976,
        "registered_at": "2025-05-23T13:45:02+02:00",
    }
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    async with admin(world) as http:
        answer = await http.post("/api/companies", json=form, headers={"traceparent": trace})
        assert answer.status_code == 201
        assert (await http.get(answer.headers["Location"])).json() == answer.json()
        [fact] = await until(lambda: world.told(CompanyRegistered), what="the fact")
    expected = {
        "company_id": answer.json()["company_id"],
        "name": "Boulangerie Martin",
        "email": "contact@martin.example",
        "phone": "+33612345678",
        "stripe_customer_id": "cus_1",
        "legacy_enterprise_id": 9976,
        "registered_at": "2025-05-23T11:45:02Z",
    }
    assert answer.json() == expected
    assert fact.model_dump(mode="json") == expected
    [envelope] = await world.envelopes("directory")
    assert (envelope.traceparent or "").startswith(trace[:36]), "the caller's trace goes on"


async def test_the_same_company_sent_again_is_registered_and_told_once(world: World) -> None:
    form = {**COMPANY, "company_id": str(uuid4())}
    async with admin(world) as http:
        first = await http.post("/api/companies", json=form)
        again = await http.post("/api/companies", json=form)
        await until(lambda: world.told(CompanyRegistered), what="the fact")
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
    assert len(await world.rows("admin_api", "select from outbox")) == 1


async def test_many_at_once_with_one_id_register_one_company(world: World) -> None:
    form = {**COMPANY, "company_id": str(uuid4()), "stripe_customer_id": "cus_1"}
    async with admin(world) as http:
        answers = await asyncio.gather(*(http.post("/api/companies", json=form) for _ in range(12)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 11}
    assert len(await world.rows("admin_api", "select from outbox")) == 1


async def test_many_at_once_for_one_stripe_customer_register_one_company(world: World) -> None:
    form = {**COMPANY, "stripe_customer_id": "cus_1"}
    async with admin(world) as http:
        answers = await asyncio.gather(*(http.post("/api/companies", json=form) for _ in range(12)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 11}
    [company] = await world.rows("admin_api", "select company_id from companies")
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {(each["code"], each["company_id"]) for each in refused} == {
        ("stripe_customer_id_taken", str(company["company_id"]))
    }
    assert len(await world.rows("admin_api", "select from outbox")) == 1


async def test_other_data_under_a_known_id_is_refused_and_changes_nothing(world: World) -> None:
    form: dict[str, Any] = {**COMPANY, "company_id": str(uuid4())}
    async with admin(world) as http:
        await http.post("/api/companies", json=form)
        answer = await http.post("/api/companies", json={**form, "name": "Autre", "phone": "0612345678"})
        assert answer.status_code == 409
        assert answer.json()["code"] == "company_differs"
        assert [error["where"] for error in answer.json()["errors"]] == ["name", "phone"]
        known = (await http.get(f"/api/companies/{form['company_id']}")).json()
    assert known["name"] == COMPANY["name"]


async def test_a_legacy_id_belongs_to_one_company(world: World) -> None:
    async with admin(world) as http:
        first = await http.post("/api/companies", json={**COMPANY, "legacy_enterprise_id": 9976})
        answer = await http.post("/api/companies", json={**COMPANY, "legacy_enterprise_id": 9976})
    assert answer.status_code == 409
    assert answer.json()["code"] == "legacy_enterprise_id_taken"
    assert answer.json()["company_id"] == first.json()["company_id"]


WRONG: list[tuple[dict[str, object], str, str]] = [
    ({"name": "   "}, "name", "name_empty"),
    ({"name": "x" * 201}, "name", "name_too_long"),
    ({"name": "a\x00b"}, "name", "name_unprintable"),
    ({"name": 12}, "name", "not_text"),
    ({"name": None}, "name", "not_text"),
    ({"email": "nobody"}, "email", "email_invalid"),
    ({"email": "a@b.fr\nBcc: c@d.fr"}, "email", "email_invalid"),
    ({"phone": "12"}, "phone", "phone_invalid"),
    ({"stripe_customer_id": "sub_1"}, "stripe_customer_id", "stripe_customer_id_invalid"),
    ({"legacy_enterprise_id": 0}, "legacy_enterprise_id", "number_out_of_range"),
    ({"legacy_enterprise_id": 2**63}, "legacy_enterprise_id", "number_out_of_range"),
    ({"legacy_enterprise_id": "x"}, "legacy_enterprise_id", "number_invalid"),
    ({"registered_at": "2025-05-23T13:45:02"}, "registered_at", "date_without_zone"),
    ({"registered_at": "yesterday"}, "registered_at", "date_invalid"),
    ({"registered_at": "2999-01-01T00:00:00Z"}, "registered_at", "registered_at_out_of_range"),
    ({"registered_at": "0001-01-01T00:00:00+14:00"}, "registered_at", "registered_at_out_of_range"),
    ({"company_id": "9976"}, "company_id", "uuid_invalid"),
    ({"e_mail": "a@b.fr"}, "e_mail", "field_unknown"),
]


async def test_what_is_wrong_is_named_with_what_to_do(world: World) -> None:
    async with admin(world) as http:
        for change, where, code in WRONG:
            answer = await http.post("/api/companies", json={**COMPANY, **change})
            assert answer.status_code == 422, change
            assert answer.headers["Content-Type"] == "application/problem+json"
            [error] = answer.json()["errors"]
            assert (error["where"], error["code"]) == (where, code)
            assert len(error["message"]) > 10
    assert await world.rows("admin_api", "select from companies") == []


NO_COMPANIES = [
    (b"{", 422, "json_invalid"),
    (b"", 422, "field_missing"),
    (b"[]", 422, "body_not_object"),
    (b'"text"', 422, "body_not_object"),
    (b"\xff\xfe{}", 422, "json_invalid"),
    (b'{"name": "\xff"}', 400, "bad_request"),
    (b'{"name": "\\ud800", "email": "a@b.fr"}', 422, "name_unprintable"),
    (b"[" * 60_000, 400, "bad_request"),
    (b'{"legacy_enterprise_id": ' + b"9" * 5000 + b"}", 400, "bad_request"),
]


async def test_a_body_that_is_no_company_gets_a_clear_answer(world: World) -> None:
    headers = {"Content-Type": "application/json"}
    async with admin(world) as http:
        for body, status, code in NO_COMPANIES:
            answer = await http.post("/api/companies", content=body, headers=headers)
            problem = answer.json()
            codes = {problem["code"], *(error["code"] for error in problem.get("errors", []))}
            assert answer.status_code == status, body[:40]
            assert code in codes


async def test_an_unknown_company_is_a_clear_404(world: World) -> None:
    async with admin(world) as http:
        for path in (f"/api/companies/{UUID(int=1)}", f"/api/companies/{UUID(int=1)}/deliveries"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "company_not_found")
        assert (await http.get("/api/companies/9976")).json()["errors"][0]["code"] == "uuid_invalid"
        assert (await http.get("/api/nothing")).json()["code"] == "not_found"
        assert (await http.put("/api/companies")).json()["code"] == "method_not_allowed"


async def test_a_body_may_be_64_kib_and_not_a_byte_more(world: World) -> None:
    largest = json.dumps(COMPANY).encode().ljust(64 * 1024)
    headers = {"Content-Type": "application/json"}
    async with admin(world) as http:
        assert (await http.post("/api/companies", content=largest, headers=headers)).status_code == 201
        await _expect_413(http, largest + b" ", headers)

        async def in_pieces() -> Any:
            for _ in range(65):
                yield b" " * 1024

        await _expect_413(http, in_pieces(), headers)


async def _expect_413(http: httpx.AsyncClient, content: Any, headers: dict[str, str]) -> None:
    answer = await http.post("/api/companies", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
