"""Phone numbers: one company at a time has one, each change is told once, whoever asks at the same time."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from libs.common.events.directory import NumberAssigned, NumberReleased, NumberStocked
from tests.integration.admin_api.builders import COMPANY, admin
from tests.world import World, until

WHO = {"requested_by": "claire@example.fr", "reason": "résiliation"}


async def company(http: httpx.AsyncClient, name: str = "Menuiserie Le Goff") -> str:
    answer = await http.post("/api/companies", json={**COMPANY, "name": name})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["company_id"])


async def stock(http: httpx.AsyncClient, *numbers: str) -> dict[str, Any]:
    answer = await http.post("/api/numbers", json={"numbers": list(numbers)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_number_is_stocked_given_and_taken_back_each_told_once(world: World) -> None:
    async with admin(world) as http:
        assert await stock(http, "01 84 60 00 01", "0033184600002", "+33184600001") == {
            "stocked": 2,
            "known": 0,
        }
        assert await stock(http, "01 84 60 00 01") == {"stocked": 0, "known": 1}
        one = await company(http)
        for status in (201, 200):
            given = await http.post(f"/api/companies/{one}/numbers", json={"number": "01 84 60 00 01"})
            assert (given.status_code, given.json()["number"]) == (status, "+33184600001"), given.text
        for _ in range(2):
            path = f"/api/companies/{one}/numbers/0184600001/release"
            released = await http.post(path, json=WHO)
            assert (released.status_code, released.json()["company_id"]) == (200, None), released.text
        listed = (await http.get(f"/api/companies/{one}/numbers")).json()
        [told] = await until(lambda: world.told(NumberReleased), what="the release")
        [assigned] = await until(lambda: world.told(NumberAssigned), what="the assignment")
        stocked = await world.told(NumberStocked)
    assert sorted(s.number for s in stocked) == ["+33184600001", "+33184600002"]
    assert (assigned.number, str(assigned.company_id)) == ("+33184600001", one)
    assert (told.number, told.why) == ("+33184600001", "résiliation")
    assert listed["numbers"] == []
    [past] = listed["history"]
    assert (past["number"], past["why"], past["released_by"]) == (
        "+33184600001",
        "résiliation",
        "claire@example.fr",
    )


async def test_a_number_that_was_somebodys_rests_and_then_is_free_again(world: World) -> None:
    async with admin(world) as http:
        await stock(http, "0184600001")
        one, other = await company(http), await company(http, "Autre")
        await http.post(f"/api/companies/{one}/numbers", json={"prefix": "01 84"})
        await http.post(f"/api/companies/{one}/numbers/0184600001/release", json=WHO)
        answer = await http.post(f"/api/companies/{other}/numbers", json={"number": "0184600001"})
        assert (answer.status_code, answer.json()["code"]) == (409, "number_resting")
        answer = await http.post(f"/api/companies/{other}/numbers", json={"prefix": "01 84"})
        assert (answer.status_code, answer.json()["code"]) == (409, "no_free_number")
        await world.rows("admin_api", "update numbers set free_from = now()")
        answer = await http.post(f"/api/companies/{other}/numbers", json={"number": "0184600001"})
        assert answer.status_code == 201, answer.text
        # Taken back from the first one once more: it has it no more, and the second one keeps it.
        await http.post(f"/api/companies/{one}/numbers/0184600001/release", json=WHO)
        [number] = (await http.get(f"/api/companies/{other}/numbers")).json()["numbers"]
    assert number["company_id"] == other
    assert len(await world.told(NumberReleased)) == 1


async def test_who_asks_at_the_same_time_gets_another_number_or_a_no(world: World) -> None:
    async with admin(world) as http:
        await stock(http, *(f"+3318460{n:04}" for n in range(10)))
        companies = [await company(http, f"C{n}") for n in range(4)]
        answers = await asyncio.gather(
            *(http.post(f"/api/companies/{c}/numbers", json={"prefix": "0184"}) for c in companies * 4)
        )
        same = await asyncio.gather(
            *(
                http.post(f"/api/companies/{c}/numbers", json={"number": answers[0].json()["number"]})
                for c in companies
            )
        )
    assert Counter(a.status_code for a in answers) == {201: 10, 409: 6}
    given = [a.json()["number"] for a in answers if a.status_code == 201]
    assert len(set(given)) == 10
    assert sorted(a.status_code for a in same) == [200, 409, 409, 409]
    told = await until(lambda: _all_told(world, 10), what="ten assignments")
    assert sorted(t.number for t in told) == sorted(given)


async def _all_told(world: World, count: int) -> list[NumberAssigned]:
    told = await world.told(NumberAssigned)
    return told if len(told) == count else []


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/numbers", {"numbers": ["01 84 60 00 01", "pas un numéro"]}, 422, "phone_invalid"),
        ("/api/numbers", {"numbers": []}, 422, "value_invalid"),
        ("/api/companies/{company}/numbers", {}, 422, "number_or_prefix"),
        ("/api/companies/{company}/numbers", {"number": "0184600001", "prefix": "01"}, 422,
         "number_or_prefix"),
        ("/api/companies/{company}/numbers", {"prefix": "%"}, 422, "prefix_invalid"),
        ("/api/companies/{company}/numbers", {"number": "0184600009"}, 404, "number_not_found"),
        ("/api/companies/{company}/numbers/0184600009/release", WHO, 404, "number_not_found"),
        ("/api/companies/{company}/numbers/0184600001/release", WHO, 409, "number_of_another"),
        ("/api/companies/{company}/numbers/0184600001/release", {**WHO, "reason": " "}, 422, "value_invalid"),
        ("/api/companies/00000000-0000-4000-8000-000000000000/numbers", {"prefix": "01"}, 404,
         "company_not_found"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_with_what_to_do(
    world: World, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    async with admin(world) as http:
        await stock(http, "0184600001")
        answer = await http.post(path.format(company=await company(http)), json=body)
    assert answer.status_code == status, answer.text
    codes = {answer.json()["code"], *(error["code"] for error in answer.json().get("errors", []))}
    assert code in codes, answer.text
    assert await world.told(NumberAssigned) == []
