"""What providers say of an address is held to from then on, as far as its reason goes."""

from __future__ import annotations

from tests.integration.notifications.office import Office
from tests.integration.notifications.test_outcomes import post, said, worked
from tests.unit.notifications.facts import Customer


async def suppressions(office: Office) -> list[tuple[str, str, str]]:
    rows = await office.world.rows(
        "notifications", "select target, scope, reason from suppressions where lifted_at is null"
    )
    return [tuple(row.values()) for row in rows]


async def test_no_notice_is_sent_to_an_address_that_is_dead(office: Office) -> None:
    customer = Customer("Compta@Exemple.fr")
    async with office.open() as http:
        await office.world.tell(customer.unpaid("in_1"))
        delivery = await office.until_status("unpaid:in_1:1", "accepted")
        bounce = said(delivery["id"], "hard_bounce", reason="550 5.1.1 no such user")
        await post(http, bounce, {**bounce, "ts_epoch": bounce["ts_epoch"] + 1})
        await worked(office, 2)
        await office.world.tell(customer.unpaid("in_2"))
        suppressed = await office.until_status("unpaid:in_2:1", "suppressed")
    assert suppressed["why"] == "hard_bounce"
    assert await suppressions(office) == [("compta@exemple.fr", "all", "hard_bounce")]


async def test_whoever_calls_it_spam_gets_no_more_marketing_and_still_their_notices(office: Office) -> None:
    customer = Customer()
    async with office.open() as http:
        await office.world.tell(customer.unpaid("in_1"))
        delivery = await office.until_status("unpaid:in_1:1", "accepted")
        await post(http, said(delivery["id"], "complaint"))
        await worked(office, 1)
        await office.world.tell(customer.signup_step())
        await office.world.tell(customer.unpaid("in_2"))
        key = f"signup:{customer.company_id}:signup_first_step"
        assert (await office.until_status(key, "suppressed"))["why"] == "complaint"
        await office.until_status("unpaid:in_2:1", "accepted")
    assert await suppressions(office) == [("compta@exemple.fr", "marketing", "complaint")]
