"""What people want done is told as a fact, once it is about somebody."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from libs.common.events import Event, provisional_company_id
from libs.common.events.directory import (
    DunningExempted,
    LifetimeGranted,
    StripeCustomerLinked,
    StripeEventReplayRequested,
)
from tests.integration.admin_api.builders import COMPANY, admin
from tests.world import World, until

WHO = {"requested_by": "claire@example.fr", "reason": "virement annoncé"}
WISHES: list[tuple[str, dict[str, Any], type[Event]]] = [
    ("stripe-customers", {"stripe_customer_id": "cus_1"}, StripeCustomerLinked),
    ("lifetime", WHO, LifetimeGranted),
    ("dunning-exemption", {**WHO, "until": "2026-12-24T09:00:00+01:00"}, DunningExempted),
]


@pytest.mark.parametrize(("path", "body", "fact"), WISHES, ids=[path for path, _, _ in WISHES])
async def test_a_wish_about_a_company_is_told(
    world: World, path: str, body: dict[str, Any], fact: type[Event]
) -> None:
    async with admin(world) as http:
        company_id = (await http.post("/api/companies", json=COMPANY)).json()["company_id"]
        answer = await http.post(f"/api/companies/{company_id}/{path}", json=body)
        assert answer.status_code == 202, answer.text
        [told] = await until(lambda: world.told(fact), what=fact.__name__)
        assert str(told.event_id) == answer.json()["event_id"]
        assert told.key == company_id
        nobody = await http.post(f"/api/companies/{uuid4()}/{path}", json=body)
        assert (nobody.status_code, nobody.json()["code"]) == (404, "company_not_found")
        nameless = await http.post(f"/api/companies/{company_id}/{path}", json={"requested_by": " "})
        assert nameless.status_code == 422


async def test_a_link_names_the_provisional_company(world: World) -> None:
    async with admin(world) as http:
        company_id = (await http.post("/api/companies", json=COMPANY)).json()["company_id"]
        await http.post(f"/api/companies/{company_id}/stripe-customers", json={"stripe_customer_id": "cus_1"})
        [told] = await until(lambda: world.told(StripeCustomerLinked), what="the link")
    assert told.provisional_company_id == provisional_company_id("cus_1")


async def test_a_replay_is_asked_for_by_name(world: World) -> None:
    async with admin(world) as http:
        wish = {"requested_by": "claire@example.fr", "with_effects": True}
        answer = await http.post("/api/stripe-events/evt_1/replay", json=wish)
        assert answer.status_code == 202, answer.text
        [told] = await until(lambda: world.told(StripeEventReplayRequested), what="the wish")
        assert (told.stripe_event_id, told.with_effects) == ("evt_1", True)
        assert (await http.post("/api/stripe-events/in_1/replay", json=wish)).status_code == 422
