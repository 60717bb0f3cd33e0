"""SMS on a real socket: each once, whatever the provider does, and what became of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from libs.common.errors import MisconfiguredError
from libs.common.events.notifications import DeliveryAccepted, DeliveryDelivered, DeliveryUnknown
from libs.devstack.ports import free_port
from libs.devstack.sms_provider.control import SmsProviderControl
from tests.integration.notifications.office import SMS_KEY, Office
from tests.unit.notifications.facts import Customer
from tests.world import until

MOBILE = "+33612345678"


def key_of(customer: Customer, kind: str = "line_restored") -> str:
    return f"{kind}:{customer.company_id}:1:sms"


async def restored(office: Office, phone: str | None = "06 12 34 56 78") -> str:
    """A customer whose lines are restored; the key of the SMS about it."""
    customer = Customer()
    await office.knows(customer, phone)
    await office.world.tell(customer.restored())
    return key_of(customer)


async def test_a_cut_is_told_by_mail_and_sms_and_both_are_kept_as_sent(
    office: Office, provider: SmsProviderControl
) -> None:
    customer = Customer()
    async with office.open_to(provider) as http:
        await office.knows(customer, "06 12 34 56 78")
        await office.world.tell(customer.unpaid("in_1"))
        await office.world.tell(customer.cut("in_1"), copies=3)
        delivery = await office.until_status(key_of(customer, "line_cut"), "delivered")
        await office.until_status(f"line_cut:{customer.company_id}:1", "accepted")
        await until(lambda: office.world.told(DeliveryDelivered))
        shown = await http.get(f"/internal/deliveries/{delivery['id']}/content")
    [sms] = await provider.sms()
    assert (sms.recipient, sms.sender, sms.reference) == ("33612345678", "Relance", str(delivery["id"]))
    assert (sms.encoding, sms.parts, sms.has_stop) == ("GSM7", 1, False)
    assert sms.text.encode() == delivery["content"]
    assert "49,90 €" in sms.text
    assert "112" in sms.text
    assert (delivery["recipient"], delivery["provider_id"]) == (MOBILE, sms.id)
    assert shown.status_code == 401
    [mail] = await office.mails.mails(kind="line_cut")
    assert "suspendues" in mail.subject
    told = {(fact.kind, fact.channel) for fact in await office.world.told(DeliveryAccepted)}
    assert {("line_cut", "mail"), ("line_cut", "sms"), ("unpaid", "mail")} == told
    history = await office.history(key_of(customer, "line_cut"))
    assert history == ["pending", "sending", "accepted", "delivered"]


async def test_after_429_nothing_is_sent_before_it_may_be(
    office: Office, provider: SmsProviderControl
) -> None:
    await provider.be("down", status=429, retry_after_seconds=1)
    async with office.open_to(provider):
        key = await restored(office)
        delivery = await office.until_status(key, "delivered")
    assert delivery["attempts"] == 2
    states = await office.world.rows(
        "notifications",
        "select status, at from delivery_states where delivery_id = $1 order by seq",
        delivery["id"],
    )
    assert [s["status"] for s in states[:4]] == ["pending", "sending", "pending", "sending"]
    assert (states[3]["at"] - states[2]["at"]).total_seconds() > 0.9
    assert len(await provider.sms()) == 1


@pytest.mark.parametrize("trouble", [{"status": 503}, {"status": 401}, {"status": 402}, {"status": 408}])
async def test_what_was_surely_not_taken_is_tried_again(
    office: Office, provider: SmsProviderControl, trouble: dict[str, Any]
) -> None:
    await provider.be("down", retry_after_seconds=0, **trouble)
    async with office.open_to(provider):
        delivery = await office.until_status(await restored(office), "delivered")
    assert delivery["attempts"] == 2
    assert len(await provider.sms()) == 1


async def test_nobody_at_home_is_tried_again_until_somebody_is(office: Office) -> None:
    async with office.open(sms_mode_key=SMS_KEY, smsmode_api_base=f"http://127.0.0.1:{free_port()}"):
        key = await restored(office)

        async def was_tried_twice() -> bool:
            return (await office.history(key))[:5] == ["pending", *["sending", "pending"] * 2]

        await until(was_tried_twice, what="a second try")


@pytest.mark.parametrize(
    ("manner", "details"),
    [
        ("lost", {}),
        ("nonsense", {}),
        # Longer than we wait for it.
        ("slow", {"delay_seconds": 1.5}),
    ],
)
async def test_taken_but_the_answer_lost_is_asked_about_and_never_sent_again(
    office: Office, provider: SmsProviderControl, manner: Any, details: dict[str, Any]
) -> None:
    await provider.fate()  # it reports nothing by itself
    await provider.be(manner, **details)
    async with office.open_to(provider):
        key = await restored(office)
        await office.until_status(key, "accepted")
        await until(lambda: office.world.told(DeliveryUnknown))
    assert await office.history(key) == ["pending", "sending", "unknown", "accepted"]
    [sms] = await provider.sms()
    assert (await office.until_status(key, "accepted"))["provider_id"] == sms.id


async def test_a_lost_answer_is_settled_by_a_callback_that_is_faster(
    office: Office, provider: SmsProviderControl
) -> None:
    await provider.be("lost")
    async with office.open_to(provider, settle_after_seconds=600):
        key = await restored(office)
        delivery = await office.until_status(key, "delivered")
    assert delivery["attempts"] == 1
    assert (await office.history(key))[-2:] == ["accepted", "delivered"]
    assert len(await provider.sms()) == 1


@pytest.mark.parametrize(
    ("manner", "details"), [("silent", {}), ("down", {"status": 500}), ("down", {"status": 504})]
)
async def test_what_may_have_been_taken_and_is_not_listed_stays_unknown(
    office: Office, provider: SmsProviderControl, manner: Any, details: dict[str, Any]
) -> None:
    await provider.be(manner, **details)
    async with office.open_to(provider, settle_after_seconds=0.1):
        key = await restored(office)
        await office.until_status(key, "unknown")

        async def was_asked_about() -> bool:
            rows = await office.world.rows(
                "notifications", "select asked from deliveries where channel = 'sms'"
            )
            return bool(rows[0]["asked"] >= 3)

        await until(was_asked_about, what="questions to the provider")
        await office.until_status(await restored(office, "07 56 78 90 12"), "delivered")
    assert (await office.statuses())[key] == ("unknown", None)
    assert [sms.recipient for sms in await provider.sms()] == ["33756789012"]


async def test_a_look_up_that_fails_is_put_again(office: Office, provider: SmsProviderControl) -> None:
    await provider.fate()
    await provider.be("lost")
    await provider.be("down", times=0, status=503)
    async with office.open_to(provider, settle_after_seconds=0.1):
        key = await restored(office)
        await office.until_status(key, "unknown")

        async def was_asked_about() -> bool:
            rows = await office.world.rows(
                "notifications", "select asked from deliveries where channel = 'sms'"
            )
            return bool(rows[0]["asked"] >= 2)

        await until(was_asked_about, what="a question in vain")
        await provider.behave()
        await office.until_status(key, "accepted")
    assert len(await provider.sms()) == 1


async def test_a_refusal_is_final_and_holds_up_nobody(office: Office, provider: SmsProviderControl) -> None:
    await provider.be("refused", recipient="33612345678")
    async with office.open_to(provider):
        key = await restored(office)
        await office.until_status(await restored(office, "07 56 78 90 12"), "delivered")
        delivery = await office.until_status(key, "failed")
    assert delivery["why"] == "refused"
    assert "INVALID_PHONE_NUMBER" in delivery["answer"]
    assert delivery["attempts"] == 1


async def test_reports_in_any_order_and_twice_end_the_same(
    office: Office, provider: SmsProviderControl
) -> None:
    await provider.fate("ENROUTE", "DELIVERED", "READ", times=2, is_shuffled=True)
    async with office.open_to(provider):
        keys = [await restored(office) for _ in range(12)]
        for key in keys:
            await office.until_status(key, "delivered")

        async def all_worked() -> bool:
            rows = await office.world.rows("notifications", "select status from provider_events")
            return len(rows) == 12 * 3 and {row["status"] for row in rows} == {"done"}

        await until(all_worked, what="every report, once")
    for key in keys:
        assert await office.history(key) == ["pending", "sending", "accepted", "delivered"]
    assert len(await office.world.told(DeliveryDelivered)) == 12


async def test_what_the_network_could_not_deliver_bounced(
    office: Office, provider: SmsProviderControl
) -> None:
    await provider.fate("UNDELIVERABLE", detail="INVALID_PHONE_NUMBER")
    async with office.open_to(provider):
        delivery = await office.until_status(await restored(office), "bounced")

        async def verdicts() -> list[dict[str, Any]]:
            return await office.world.rows("notifications", "select * from address_verdicts")

        [verdict] = await until(verdicts)
    assert delivery["why"] == "came_back"
    assert (verdict["channel"], verdict["address"], verdict["verdict"]) == ("sms", MOBILE, "bounces")


async def test_stop_is_noted_for_the_number(office: Office, provider: SmsProviderControl) -> None:
    async with office.open_to(provider):
        await office.until_status(await restored(office), "delivered")
        for text in ("Stop", "merci beaucoup"):
            await provider.reply("33612345678", text)

        async def verdicts() -> list[dict[str, Any]]:
            sql = "select * from address_verdicts"
            replies = "select 1 from provider_events where status <> 'pending' and delivery_id is null"
            worked = await office.world.rows("notifications", replies)
            return await office.world.rows("notifications", sql) if len(worked) == 2 else []

        [verdict] = await until(verdicts)
    assert (verdict["address"], verdict["verdict"], verdict["reason"]) == (MOBILE, "stopped", "Stop")


@pytest.mark.parametrize(
    ("phone", "why"),
    [
        ("01 42 68 53 00", "no_mobile"),
        ("demander Paul", "not_a_number"),
        (None, "no_address"),
    ],
)
async def test_what_is_no_mobile_is_told_of_not_sent(
    office: Office, provider: SmsProviderControl, phone: str | None, why: str
) -> None:
    async with office.open_to(provider):
        delivery = await office.until_status(await restored(office, phone), "suppressed")
    assert delivery["why"] == why
    assert await provider.sms() == []


async def test_without_a_provider_it_is_said(office: Office) -> None:
    async with office.open():
        delivery = await office.until_status(await restored(office), "suppressed")
    assert delivery["why"] == "channel_off"


async def test_outside_production_an_sms_stays_in_the_house(office: Office) -> None:
    outside: dict[str, Any] = {"sms_mode_key": SMS_KEY, "smsmode_api_base": "https://sms.invalid"}
    async with office.open(**outside, sms_allow_list="+33 7 56 78 90 12"):
        refused = await restored(office)
        listed = await restored(office, "07 56 78 90 12")
        await office.until_status(refused, "suppressed")

        async def was_tried() -> bool:
            return (await office.history(listed))[:3] == ["pending", "sending", "pending"]

        await until(was_tried, what="a try for the number on the list")
    assert (await office.statuses())[refused] == ("suppressed", "not_allowed_outside_prod")


async def test_in_production_nothing_goes_to_a_number_of_films(
    office: Office, provider: SmsProviderControl
) -> None:
    async with office.open_to(provider, app_env="prod"):
        delivery = await office.until_status(await restored(office, "06 39 98 12 34"), "suppressed")
    assert delivery["why"] == "test_number"


async def test_the_pace_is_kept(office: Office, provider: SmsProviderControl) -> None:
    async with office.open_to(provider, sms_requests_per_second=10):
        for n in range(15):
            await restored(office, f"06 12 34 56 {n:02}")
        await office.until_all(30, "accepted", "delivered")
    taken = sorted(sms.taken_at for sms in await provider.sms())
    assert len(taken) == 15
    # Two at once may go after a rest; then one each tenth of a second, give or take the wire.
    assert (taken[-1] - taken[0]).total_seconds() > 15 / 10 * 0.7


async def test_a_lease_shorter_than_an_answer_refuses_to_start(office: Office) -> None:
    with pytest.raises(MisconfiguredError, match="SMS_TIMEOUT_SECONDS"):
        office.app(sms_mode_key=SMS_KEY, sms_timeout_seconds=20, lease_seconds=20)


async def test_the_stand_in_refuses_a_wrong_key_and_unknown_fields(provider: SmsProviderControl) -> None:
    async with httpx.AsyncClient(base_url=provider.base_url) as http:
        body = {"recipient": {"to": "33612345678"}, "body": {"text": "x"}}
        wrong_key = await http.post("/sms/v1/messages", json=body, headers={"X-Api-Key": "another"})
        key = {"X-Api-Key": SMS_KEY}
        unknown = await http.post("/sms/v1/messages", json={**body, "nonsense": 1}, headers=key)
        page = await http.get("/")
    assert (wrong_key.status_code, unknown.status_code) == (401, 400)
    assert "Aucun SMS" in page.text
