"""The deliveries of a company: by the last word told, in whatever order it was heard."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from libs.common.events import provisional_company_id
from libs.common.events.notifications import (
    DeliveryAccepted,
    DeliveryFailed,
    DeliverySuppressed,
    DeliveryUnknown,
)
from libs.common.router import Heard
from services.admin_api import handlers
from services.admin_api.queries import deliveries
from tests.integration.admin_api.builders import COMPANY, NOW, admin, admin_database, heard, sent
from tests.world import World, until

KINDS = (DeliveryAccepted, DeliveryFailed, DeliverySuppressed, DeliveryUnknown)


async def fold_all(world: World, facts: Sequence[Heard[Any]], seed: int) -> list[dict[str, Any]]:
    """In batches of any size, as the consumer would."""
    rng = random.Random(seed)
    async with admin_database(world) as database:
        waiting = list(facts)
        while waiting:
            size = rng.randint(1, 6)
            batch, waiting = waiting[:size], waiting[size:]
            async with database.begin() as uow:
                for kind in KINDS:
                    of_kind = [each for each in batch if isinstance(each.event, kind)]
                    if of_kind:
                        await handlers.router.folds[kind.type](of_kind, uow.session)
    return await world.rows("admin_api", "select * from deliveries order by delivery_id")


async def test_any_order_and_any_repetition_give_the_same_table(world: World) -> None:
    settled, refused, plain = sent(), sent(), sent()
    facts: list[Heard[Any]] = [
        heard(settled.unknown(), revision=3),
        heard(settled.accepted(minutes=9), revision=7),
        heard(refused.accepted(minutes=1), revision=1),
        heard(refused.unknown(minutes=5), revision=2),
        heard(refused.failed(minutes=30), revision=4),
        heard(plain.suppressed(), revision=2),
        # Told before revisions were kept: whichever is heard first, the same one stays.
        heard(plain.accepted(minutes=2), revision=2),
        heard(refused.failed(minutes=20), revision=3),
    ]
    expected = await fold_all(world, facts, seed=0)
    states = {row["delivery_id"]: (row["status"], row["at"], row["first_at"]) for row in expected}
    assert states[settled.delivery_id] == ("accepted", NOW + timedelta(minutes=9), NOW)
    assert states[refused.delivery_id] == ("failed", NOW + timedelta(minutes=30), NOW + timedelta(minutes=1))
    for seed in range(1, 60):
        rng = random.Random(seed)
        shuffled = facts + rng.choices(facts, k=rng.randint(0, 6))
        rng.shuffle(shuffled)
        await world.rows("admin_api", "truncate deliveries")
        assert await fold_all(world, shuffled, seed) == expected, f"seed {seed}"


async def test_what_was_sent_is_listed_newest_first(world: World) -> None:
    async with admin(world) as http:
        company_id = (await http.post("/api/companies", json=COMPANY)).json()["company_id"]
        assert (await http.get(f"/api/companies/{company_id}/deliveries")).json() == {
            "deliveries": [],
            "next": None,
        }
        old, new = sent(company_id, at=NOW), sent(company_id, at=NOW + timedelta(days=1))
        await world.tell(new.suppressed())
        await world.tell(old.accepted(), copies=3)
        await world.tell(sent().accepted())

        async def listed() -> list[dict[str, Any]]:
            rows = (await http.get(f"/api/companies/{company_id}/deliveries")).json()["deliveries"]
            return rows if len(rows) > 1 else []

        deliveries = await until(listed, what="both deliveries")
    assert [each["delivery_id"] for each in deliveries] == [str(new.delivery_id), str(old.delivery_id)]
    assert deliveries[0] | {"at": None, "first_at": None} == {
        "delivery_id": str(new.delivery_id),
        "company_id": company_id,
        "kind": "invoice_unpaid",
        "channel": "mail",
        "billing_cycle": "2026-11",
        "invoice_ids": ["in_1", "in_2"],
        "status": "suppressed",
        "detail": "already_listed",
        "first_at": None,
        "at": None,
    }


async def test_page_after_page_shows_each_delivery_once_while_new_ones_come(world: World) -> None:
    async with admin(world) as http:
        form = {**COMPANY, "stripe_customer_id": "cus_1"}
        company_id = (await http.post("/api/companies", json=form)).json()["company_id"]
        provisional = provisional_company_id("cus_1")
        # Several at the same moment, and some told before the Stripe customer was known to be this company.
        owners = (company_id, provisional)
        known = [sent(owners[n % 2], at=NOW + timedelta(minutes=n // 4)) for n in range(23)]
        await fold_all(world, [heard(each.unknown()) for each in known], seed=1)
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            params = {"limit": 5} | ({"after": after} if after else {})
            page = (await http.get(f"/api/companies/{company_id}/deliveries", params=params)).json()
            found.extend(each["delivery_id"] for each in page["deliveries"])
            after = page["next"]
            # A new delivery comes, and one that was listed changes its state: neither moves the others.
            late = heard(known[0].accepted(minutes=500), revision=9)
            newer = heard(sent(company_id, at=NOW + timedelta(days=2)).accepted())
            await fold_all(world, [late, newer], seed=1)
    expected = sorted(known, key=lambda each: (each.at, each.delivery_id), reverse=True)
    assert found == [str(each.delivery_id) for each in expected]


async def test_who_is_only_a_stripe_customer_has_deliveries_too(world: World) -> None:
    provisional = provisional_company_id("cus_unknown")
    await fold_all(world, [heard(sent(provisional).accepted())], seed=1)
    async with admin(world) as http:
        answer = await http.get(f"/api/companies/{provisional}/deliveries")
        assert len(answer.json()["deliveries"]) == 1
        for cursor in ("x", "é", "W10", "bnVsbA", "W" * 900):
            refused = await http.get(f"/api/companies/{provisional}/deliveries", params={"after": cursor})
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["code"] == "cursor_invalid"


async def test_a_page_of_deliveries_is_read_by_index(world: World) -> None:
    company = sent()
    await world.rows(
        "admin_api",
        """insert into deliveries (delivery_id, company_id, kind, channel, invoice_ids, first_at, status, at,
                                   detail, revision, event_id)
           select gen_random_uuid(), case when n % 2 = 0 then $1::uuid else gen_random_uuid() end, 'k',
                  'mail', '{}', $2::timestamptz + n * interval '1 second', 'accepted', $2, '', 1,
                  gen_random_uuid()
           from generate_series(1, 4000) n""",
        company.company_id,
        NOW,
    )
    await world.rows("admin_api", "analyze deliveries")
    values = {"company_ids": [company.company_id], "before_at": None, "before_id": None, "limit": 50}
    async with admin_database(world) as database, database.begin() as uow:
        rows = await uow.session.execute(text("explain " + deliveries._LIST_DELIVERIES.text), values)
        plan = "\n".join(str(row[0]) for row in rows)
    assert "deliveries_of_company" in plan
    assert "Seq Scan on deliveries" not in plan
