"""From facts to mails: one reason, one message; none that stopped being wanted."""

from __future__ import annotations

from datetime import date

import pytest

from libs.common.events.notifications import DeliveryAccepted, DeliverySuppressed
from libs.common.telemetry import trace_id
from tests.integration.notifications.office import READER, SENDER, Office
from tests.unit.notifications.facts import CYCLE, Customer
from tests.world import until


async def test_one_unpaid_mail_whatever_is_repeated(office: Office) -> None:
    customer = Customer()
    async with office.open():
        for _ in range(3):
            await office.world.tell(customer.unpaid("in_1"), copies=4)
        await office.world.tell(customer.recovered("in_2"))
        await office.until_all(2, "accepted")
        told = await until(lambda: office.told(DeliveryAccepted, 2))
    assert await office.mails.counts() == {
        ("compta@exemple.fr", "unpaid", CYCLE): 1,
        ("compta@exemple.fr", "payment_recovered", CYCLE): 1,
    }
    assert len(told) == 2


async def test_every_kind_of_fact_makes_its_mail(office: Office) -> None:
    customer = Customer()
    async with office.open():
        for fact in (
            customer.signup_step(),
            customer.paid("in_1"),
            customer.recovered("in_2"),
            customer.paid("in_2", is_recovered=True),
            customer.action_required("in_3"),
            customer.unpaid("in_4"),
            customer.restricted("in_4"),
            customer.cut("in_4"),
            customer.restored(),
            customer.card_expiring(),
        ):
            await office.world.tell(fact)
        await office.until_all(12, "accepted", "suppressed")  # of lines by SMS too; it has no number
    kinds = sorted(mail.kind or "" for mail in await office.mails.mails())
    assert kinds == [
        "card_expiring",
        "line_cut",
        "line_restored",
        "line_restricted",
        "payment_action_required",
        "payment_receipt",
        "payment_recovered",
        "signup_first_step",
        "unpaid",
    ]


async def test_a_mail_is_kept_as_sent_and_leads_back_to_its_fact(office: Office) -> None:
    async with office.open():
        fact = await office.world.tell(Customer().unpaid("in_1"))
        delivery = await office.until_status("unpaid:in_1:1", "accepted")
        await until(lambda: office.world.told(DeliveryAccepted))
    mail = (await office.mails.mails())[0]
    headers = dict((await office.mails.mail(mail.id)).all_headers)
    assert mail.message_id == delivery["message_id"] == f"<{delivery['id']}@relance.test>"
    assert await office.mails.source(mail.id) == delivery["content"]
    assert trace_id(headers["Traceparent"]) == trace_id(fact.traceparent)
    [told] = await office.world.envelopes("notifications")
    assert trace_id(told.traceparent) == trace_id(fact.traceparent)
    assert told.causation_id == fact.event_id
    assert mail.id in delivery["answer"]


async def test_an_unpaid_mail_carries_the_links_that_its_fact_had(office: Office) -> None:
    customer = Customer()
    ours = customer.invoice("in_1").model_copy(update={"pay_url": "https://ours.test/pay/p.1"})
    fact = customer.unpaid("in_1", open_invoices=(ours,), card_url="https://ours.test/pay/c.1")
    async with office.open():
        await office.world.tell(fact)
        await office.until_all(1, "accepted")
    [mail] = await office.mails.mails()
    text = (await office.mails.mail(mail.id)).text or ""
    assert "https://ours.test/pay/p.1" in text
    assert "https://ours.test/pay/c.1" in text
    assert "https://invoice.example" not in text


async def test_two_unpaid_invoices_are_one_mail(office: Office) -> None:
    customer = Customer()
    await office.queue(customer.unpaid("in_1", cases_being_tried=1), customer.unpaid("in_2", "in_1", stage=2))
    async with office.open(SENDER, unpaid_digest_seconds=0.2):
        await office.until_all(2, "accepted", "suppressed")
        [accepted] = await until(lambda: office.told(DeliveryAccepted, 1))
    [mail] = await office.mails.mails()
    text = (await office.mails.mail(mail.id)).text or ""
    assert "F-in_1" in text
    assert "F-in_2" in text
    assert await office.statuses() == {
        "unpaid:in_1:1": ("suppressed", "already_listed"),
        "unpaid:in_2:1": ("accepted", None),
    }
    assert sorted(accepted.invoice_ids) == ["in_1", "in_2"]


async def test_a_digest_goes_although_the_other_invoice_is_never_settled(office: Office) -> None:
    async with office.open(unpaid_digest_seconds=3):
        await office.world.tell(Customer().unpaid("in_1", cases_being_tried=1))
        await office.until_status("unpaid:in_1:1", "accepted")
    assert await office.history("unpaid:in_1:1") == ["pending", "pending", "sending", "accepted"]


async def test_a_second_attempt_of_a_billing_cycle_sends_only_when_the_stage_rose(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    customer = Customer()
    async with office.open():
        for attempt, stage in ((1, 1), (2, 1), (3, 2)):
            await office.world.tell(customer.unpaid("in_1", attempt_count=attempt, stage=stage))
            await office.until_all(attempt, "accepted", "suppressed")
        await until(lambda: office.world.told(DeliverySuppressed))
    assert await office.statuses() == {
        "unpaid:in_1:1": ("accepted", None),
        "unpaid:in_1:2": ("suppressed", "already_listed"),
        "unpaid:in_1:3": ("accepted", None),
    }
    assert "Un email a déjà été envoyé ce cycle de facturation. Abandon de l'envoi." in caplog.messages
    [suppressed] = await office.world.told(DeliverySuppressed)
    assert suppressed.why == "already_listed"


async def test_a_reminder_lists_what_is_open_and_is_told_with_it(office: Office) -> None:
    customer = Customer()
    async with office.open():
        await office.world.tell(customer.unpaid("in_1", "in_2"))
        await office.until_status("unpaid:in_1:1", "accepted")
        # As if it had been three days ago.
        await office.world.rows(
            "notifications",
            "update deliveries set settled_at = settled_at - interval '73 h', "
            "sending_at = sending_at - interval '73 h'",
        )
        await office.world.tell(customer.reminder("in_1"), copies=3)
        key = f"unpaid_reminder:{customer.company_id}:in_1:2"
        await office.until_status(key, "accepted")
        told = await until(lambda: office.told(DeliveryAccepted, 2))
    reminder = next(fact for fact in told if fact.kind == "unpaid_reminder")
    assert sorted(reminder.invoice_ids) == ["in_1", "in_2"]
    [mail] = [mail for mail in await office.mails.mails() if mail.kind == "unpaid_reminder"]
    text = (await office.mails.mail(mail.id)).text or ""
    assert "F-in_1" in text
    assert "F-in_2" in text
    assert "15, 17, 18 et 112" in text


async def test_a_reminder_right_after_a_notice_or_a_payment_is_not_sent(office: Office) -> None:
    customer, payer = Customer(), Customer()
    async with office.open():
        await office.world.tell(customer.unpaid("in_1"))
        await office.until_status("unpaid:in_1:1", "accepted")
        await office.world.tell(customer.reminder("in_1"))
        await office.until_status(f"unpaid_reminder:{customer.company_id}:in_1:2", "suppressed")
        await office.world.tell(payer.unpaid("in_2", cases_being_tried=1))
        await office.world.tell(payer.closed("in_2"))
        await office.until_status("unpaid:in_2:1", "suppressed")
        await office.world.tell(payer.reminder("in_2"))
        await office.world.tell(payer.cut("in_2"))
        await office.until_status(f"line_cut:{payer.company_id}:1", "suppressed")
        await office.until_status(f"unpaid_reminder:{payer.company_id}:in_2:2", "suppressed")
    assert await office.statuses() == {
        "unpaid:in_1:1": ("accepted", None),
        f"unpaid_reminder:{customer.company_id}:in_1:2": ("suppressed", "recent_notice"),
        "unpaid:in_2:1": ("suppressed", "paid"),
        f"unpaid_reminder:{payer.company_id}:in_2:2": ("suppressed", "paid"),
        f"line_cut:{payer.company_id}:1": ("suppressed", "paid"),
        f"line_cut:{payer.company_id}:1:sms": ("suppressed", "no_address"),
    }


async def test_what_was_paid_meanwhile_is_not_demanded(office: Office) -> None:
    customer = Customer()
    async with office.open():
        await office.world.tell(customer.unpaid("in_1", cases_being_tried=1))
        await office.until_status("unpaid:in_1:1", "pending")
        await office.world.tell(customer.paid("in_1"))
        await office.until_all(2, "accepted", "suppressed")
        await office.world.tell(customer.unpaid("in_1", attempt_count=2))  # late news of a paid invoice
        await office.until_all(3, "accepted", "suppressed")
    assert await office.statuses() == {
        "unpaid:in_1:1": ("suppressed", "paid"),
        "payment_receipt:in_1": ("accepted", None),
        "unpaid:in_1:2": ("suppressed", "paid"),
    }


async def test_a_company_that_subscribed_between_due_and_send_gets_no_sign_up_mail(office: Office) -> None:
    customer = Customer()
    await office.queue(customer.signup_step(), customer.subscribed())
    async with office.open(SENDER):
        await office.until_all(2, "suppressed")
        await until(lambda: office.told(DeliverySuppressed, 2))
    whys = {row["kind"]: row["why"] for row in await office.deliveries()}
    assert whys == {"signup_first_step": "subscribed", "subscription_started": "no_address"}
    assert await office.mails.mails() == ()


async def test_a_customer_without_an_address_is_told_of_not_written_to(office: Office) -> None:
    async with office.open(READER):
        await office.world.tell(Customer(email=None).unpaid("in_1"))
        [told] = await until(lambda: office.world.told(DeliverySuppressed))
    assert told.why == "no_address"


async def test_outside_production_mail_stays_in_the_house(office: Office) -> None:
    listed, customer = Customer("dev@relance.test"), Customer()
    async with office.open(mailer_dsn="smtp://mail.invalid:25", mail_allow_list="@relance.test"):
        await office.world.tell(customer.unpaid("in_1"))
        await office.world.tell(listed.unpaid("in_2"))
        await office.until_status("unpaid:in_1:1", "suppressed")
        tried = await until(
            lambda: office.world.rows(
                "notifications", "select * from deliveries where invoice_id = 'in_2' and answer is not null"
            )
        )
    assert (await office.statuses())["unpaid:in_1:1"] == ("suppressed", "not_allowed_outside_prod")
    assert tried[0]["attempts"] >= 1


async def test_an_address_that_is_none_fails_and_holds_up_nobody(office: Office) -> None:
    async with office.open():
        await office.world.tell(Customer("pas une adresse").unpaid("in_1"))
        await office.world.tell(Customer().unpaid("in_2"))
        await office.until_status("unpaid:in_1:1", "failed")
        await office.until_status("unpaid:in_2:1", "accepted")


async def test_the_content_is_shown_to_those_who_have_the_key(office: Office) -> None:
    key = "an-internal-key-for-tests"
    async with office.open(interne_apikey=key) as http:
        await office.world.tell(Customer().unpaid("in_1"))
        delivery = await office.until_status("unpaid:in_1:1", "accepted")
        path = f"/internal/deliveries/{delivery['id']}/content"
        shown = await http.get(path, headers={"X-Api-Key": key})
        refused = await http.get(path, headers={"X-Api-Key": "another"})
        missing = await http.get(path.replace(str(delivery["id"]), str(Customer().company_id)),
                                 headers={"X-Api-Key": key})  # fmt: skip
    assert (shown.status_code, shown.content) == (200, delivery["content"])
    assert (refused.status_code, missing.status_code) == (401, 404)


async def test_a_card_that_expires_is_written_about_once_with_the_link(office: Office) -> None:
    customer = Customer()
    async with office.open():
        for _ in range(3):
            await office.world.tell(customer.card_expiring(), copies=3)
        await office.world.tell(customer.card_expiring(expires_on=date(2028, 2, 29)))
        await office.until_all(2, "accepted")
    mails = [await office.mails.mail(mail.id) for mail in await office.mails.mails()]
    assert sorted(mail.subject for mail in mails) == [
        "Votre carte Visa •••• 4242 expire le 29\u00a0février\u00a02028",
        "Votre carte Visa •••• 4242 expire le 31\u00a0mars\u00a02026",
    ]
    for mail in mails:
        assert "https://billing.example/pay/c.1" in (mail.text or "")
        assert 'href="https://billing.example/pay/c.1"' in (mail.html or "")
