"""The copy of what was heard is the same in any order, however often; and what is due is read by index."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from libs.common.events import provisional_company_id
from libs.common.events.billing import (
    SubscriptionCanceled,
    SubscriptionChanged,
    SubscriptionStarted,
    TrialStarted,
)
from libs.common.events.directory import CompanyRegistered, StripeCustomerLinked
from libs.common.router import Heard
from services.scheduler import handlers
from services.scheduler.queries import signup
from tests.integration.scheduler.builders import (
    NOW,
    heard,
    registered,
    scheduler_database,
    scheduler_settings,
    subscribed,
)
from tests.world import World


def changed(company_id: UUID, status: str) -> SubscriptionChanged:
    return SubscriptionChanged(
        company_id=company_id, subscription_id="sub_x", status=status, changed_at=NOW - timedelta(hours=1)
    )


KINDS = (
    CompanyRegistered,
    StripeCustomerLinked,
    SubscriptionStarted,
    SubscriptionChanged,
    TrialStarted,
    SubscriptionCanceled,
)
COMPANIES = [registered(ago=timedelta(hours=n), stripe_customer_id=f"cus_{n}") for n in range(4)]
FACTS: Sequence[Heard[Any]] = [
    *(heard(event) for event in COMPANIES),
    # As a second version of the same registration would be: the higher revision wins.
    *(heard(event.model_copy(update={"name": "Nouveau nom"}), revision=5) for event in COMPANIES[:2]),
    heard(subscribed(COMPANIES[0].company_id)),
    heard(subscribed(COMPANIES[0].company_id, subscription_id="sub_0", at=NOW - timedelta(days=1))),
    heard(subscribed(provisional_company_id("cus_9"), subscription_id="sub_9")),
    heard(changed(COMPANIES[1].company_id, "lifetime")),
    heard(changed(COMPANIES[2].company_id, "past_due")),
    # Under the provisional company at first, under its own one in the end.
    heard(
        TrialStarted(
            company_id=provisional_company_id("cus_9"),
            subscription_id="sub_9",
            started_at=NOW - timedelta(days=30),
            trial_ends_at=NOW,
        )
    ),
    heard(
        SubscriptionCanceled(
            company_id=COMPANIES[3].company_id,
            subscription_id="sub_9",
            canceled_at=NOW + timedelta(days=1),
        )
    ),
    heard(
        StripeCustomerLinked(
            company_id=COMPANIES[3].company_id,
            stripe_customer_id="cus_9",
            provisional_company_id=provisional_company_id("cus_9"),
        )
    ),
]


async def fold_all(world: World, facts: Sequence[Heard[Any]], seed: int) -> list[dict[str, Any]]:
    """In batches of any size, as the consumer would."""
    rng = random.Random(seed)
    async with scheduler_database(world) as database:
        waiting = list(facts)
        while waiting:
            size = rng.randint(1, 5)
            batch, waiting = waiting[:size], waiting[size:]
            async with database.begin() as uow:
                for kind in KINDS:
                    of_kind = [each for each in batch if isinstance(each.event, kind)]
                    if of_kind:
                        await handlers.router.folds[kind.type](of_kind, uow.session)
    return [
        *await world.rows("scheduler", "select * from companies order by company_id"),
        *await world.rows("scheduler", "select * from customer_links order by 1, 2"),
        *await world.rows("scheduler", "select * from subscriptions order by 1"),
    ]


async def test_any_order_and_any_repetition_give_the_same_copy(world: World) -> None:
    expected = await fold_all(world, FACTS, seed=0)
    assert [row["name"] for row in expected if "name" in row].count("Nouveau nom") == 2
    subscribed_at = {row["company_id"]: row["subscribed_at"] for row in expected if "name" in row}
    assert subscribed_at[COMPANIES[0].company_id] == NOW - timedelta(days=1), "the first one counts"
    assert subscribed_at[COMPANIES[1].company_id] == NOW - timedelta(hours=1), "for life"
    assert subscribed_at[COMPANIES[2].company_id] is None
    for seed in range(1, 40):
        rng = random.Random(seed)
        again = rng.choices(FACTS, k=5) + list(FACTS)
        rng.shuffle(again)
        await world.rows("scheduler", "truncate companies, customer_links, subscriptions")
        assert await fold_all(world, again, seed) == expected, f"seed {seed}"


@pytest.mark.parametrize("statement", ["_ADD_OCCURRENCES", "_LIST_COMING"])
async def test_what_is_due_is_read_by_index_among_thousands(world: World, statement: str) -> None:
    await world.rows(
        "scheduler",
        """insert into companies (company_id, name, email, registered_at, directory_revision,
                                  signup_steps_decided)
           select gen_random_uuid(), 'n', 'e', $1::timestamptz - n * interval '1 minute', 1, (n > 20)::int
           from generate_series(1, 30000) n""",
        NOW,
    )
    await world.rows("scheduler", "analyze companies")
    step, *_ = steps = scheduler_settings(world).signup_steps
    values = {
        "routine": step.routine, "step": step.name, "position": 0,
        "newest_due": NOW, "newest_expired": NOW - timedelta(days=2),
        "due_after": step.offset, "expires_after": step.offset + step.too_late, "now": NOW, "limit": 1000,
        "until": NOW, "after_at": NOW - timedelta(days=2), "after_id": UUID(int=0), "company_id": None,
        "positions": [each.position for each in steps], "offsets": [each.offset for each in steps],
        "too_late": [each.too_late for each in steps],
    }  # fmt: skip
    query = getattr(signup, statement)
    wanted = {name: value for name, value in values.items() if f":{name}" in query.text}
    async with scheduler_database(world) as database, database.begin() as uow:
        plan = "\n".join(
            str(row[0]) for row in await uow.session.execute(text("explain " + query.text), wanted)
        )
    assert "Scan using companies_signup" in plan
    assert "Seq Scan on companies" not in plan
