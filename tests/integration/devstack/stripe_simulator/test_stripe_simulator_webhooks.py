"""Events and webhooks: signed, retried, copied, shuffled, delayed, lost, in either shape."""

import time
from collections import Counter

import stripe

from libs.devstack.ports import free_port
from libs.devstack.stripe_simulator.settings import OLD_API_VERSION
from tests.integration.devstack.stripe_simulator.conftest import SECRET, Sandbox, until
from tests.integration.devstack.stripe_simulator.receiver import Arrived, Receiver

FAILED = "invoice.payment_failed"


async def test_webhooks_are_signed_as_stripe_signs(sandbox: Sandbox) -> None:
    await sandbox.renewal_fails("decline")
    await sandbox.all_delivered()
    for arrived in sandbox.receiver.arrived:
        assert stripe.WebhookSignature.verify_header(arrived.body, arrived.signature, SECRET, 300)
        assert arrived.event["object"] == "event"
        assert arrived.event["pending_webhooks"] == 1


async def test_what_is_not_accepted_comes_again_signed_anew(sandbox: Sandbox) -> None:
    seen: Counter[str] = Counter()

    def refuse_twice(arrived: Arrived) -> int:
        seen[arrived.event["id"]] += 1
        return (500, 302)[seen[arrived.event["id"]] - 1] if seen[arrived.event["id"]] <= 2 else 204

    sandbox.receiver.answer = refuse_twice
    await sandbox.renewal_fails("decline")
    await sandbox.all_delivered()
    assert set(seen.values()) == {3}
    (delivery,) = await sandbox.control.deliveries(event_type=FAILED)
    assert [one.status for one in delivery.tries] == [500, 302, 204]
    for arrived in sandbox.receiver.arrived:
        assert stripe.WebhookSignature.verify_header(arrived.body, arrived.signature, SECRET, 30)


async def test_an_endpoint_that_does_not_answer_is_tried_again(sandbox: Sandbox) -> None:
    hung: set[str] = set()

    def hang_once(arrived: Arrived) -> int:
        event = arrived.event
        is_first = event["type"] == FAILED and event["id"] not in hung
        hung.add(event["id"])
        return 0 if is_first else 200

    sandbox.receiver.answer = hang_once
    await sandbox.renewal_fails("decline")
    await sandbox.all_delivered()
    (delivery,) = await sandbox.control.deliveries(event_type=FAILED)
    assert [(one.status, one.error) for one in delivery.tries] == [(None, "timed out"), (200, None)]


async def test_an_endpoint_that_is_down_gets_everything_later(sandbox: Sandbox) -> None:
    await sandbox.receiver.stop()
    await sandbox.renewal_fails("decline")
    assert await sandbox.control.deliveries_pending() > 0
    pending = await sandbox.api.events.list_async({"delivery_success": False, "limit": 100})
    assert len(pending.data) == (await sandbox.control.state()).counts["event"]
    await sandbox.receiver.start()
    await sandbox.all_delivered()
    assert (await sandbox.api.events.list_async({"delivery_success": False})).data == []


async def test_on_demand_each_event_comes_in_copies_at_once_and_out_of_order(sandbox: Sandbox) -> None:
    await sandbox.control.chaos(copies=5, shuffle=True, max_delay_seconds=0.5)
    await sandbox.renewal_fails("decline")
    sandbox.receiver.seconds_to_answer = 0.05
    await sandbox.all_delivered()
    arrived = [event["id"] for event in sandbox.receiver.events()]
    assert set(Counter(arrived).values()) == {5}
    listed = await sandbox.api.events.list_async({"limit": 100})
    in_order = [event.id for event in reversed(listed.data)]
    assert list(dict.fromkeys(arrived)) != in_order
    assert sandbox.receiver.most_at_once > 1


async def test_on_demand_a_type_is_lost_at_first(sandbox: Sandbox) -> None:
    await sandbox.control.chaos(event_type=FAILED, copies=2, lose_first=2)
    await sandbox.renewal_fails("decline")
    await sandbox.all_delivered()
    deliveries = await sandbox.control.deliveries(event_type=FAILED)
    assert [len(delivery.tries) for delivery in deliveries] == [3, 3]
    assert len(sandbox.receiver.events(FAILED)) == 2
    assert len(sandbox.receiver.events("customer.created")) == 1


async def test_calm_and_resend(sandbox: Sandbox) -> None:
    await sandbox.control.chaos(copies=3)
    await sandbox.control.calm()
    await sandbox.renewal_fails("decline")
    await sandbox.all_delivered()
    (failed,) = sandbox.receiver.events(FAILED)
    await sandbox.control.resend(failed["id"])
    await until(lambda: len(sandbox.receiver.events(FAILED)) == 2)


async def test_each_endpoint_gets_the_shape_of_its_version(sandbox: Sandbox) -> None:
    old = Receiver(free_port())
    await old.start()
    await sandbox.control.add_endpoint(
        old.url, "whsec_old", api_version=OLD_API_VERSION, enabled_events=[FAILED]
    )
    made = await sandbox.renewal_fails("decline")
    await sandbox.all_delivered()
    (old_event,), (new_event,) = old.events(), sandbox.receiver.events(FAILED)
    assert old_event["id"] == new_event["id"]
    assert old_event["api_version"] == OLD_API_VERSION
    assert old_event["pending_webhooks"] == 2
    old_invoice, invoice = old_event["data"]["object"], new_event["data"]["object"]
    assert (old_invoice["subscription"], old_invoice["paid"]) == (made.subscription, False)
    assert old_invoice["payment_intent"].startswith("pi_")
    assert old_invoice["charge"].startswith("ch_")
    assert invoice["parent"]["subscription_details"]["subscription"] == made.subscription
    assert not {"subscription", "paid", "payment_intent", "charge", "_sim"} & set(invoice)
    await old.stop()


async def test_endpoints_are_made_through_the_api(sandbox: Sandbox) -> None:
    receiver = Receiver(free_port())
    await receiver.start()
    endpoint = await sandbox.api.webhook_endpoints.create_async(
        {"url": receiver.url, "enabled_events": ["customer.created"]}
    )
    await sandbox.api.customers.create_async({"email": "a@b.test"})
    await until(lambda: len(receiver.arrived) == 1)
    arrived = receiver.arrived[0]
    assert stripe.WebhookSignature.verify_header(arrived.body, arrived.signature, endpoint.secret, 300)
    await sandbox.api.webhook_endpoints.delete_async(endpoint.id)
    await receiver.stop()


async def test_events_are_listed_newest_first_filtered_and_paged(sandbox: Sandbox) -> None:
    made = await sandbox.renewal_fails("decline")
    for _ in range(3):
        await sandbox.control.attempt(made.invoice)
    events = sandbox.api.events
    everything = (await events.list_async({"limit": 100})).data
    assert everything[0].created >= everything[-1].created

    failed = await events.list_async({"types": [FAILED, "charge.failed"], "limit": 3})
    assert failed.has_more
    assert {event.type for event in failed.data} == {FAILED, "charge.failed"}
    older = await events.list_async({"type": FAILED, "starting_after": everything[0].id, "limit": 100})
    assert [event.data.object.attempt_count for event in older.data] == [4, 3, 2, 1]
    newer = await events.list_async({"ending_before": everything[5].id, "limit": 2})
    assert [event.id for event in newer.data] == [event.id for event in everything[3:5]]
    assert newer.has_more
    assert (await events.list_async({"type": "invoice.*", "limit": 1})).data[0].type.startswith("invoice.")
    assert (await events.list_async({"created": {"lt": int(time.time()) - 3600}})).data == []
    assert (await events.retrieve_async(everything[-1].id)).type == everything[-1].type


async def test_updates_say_what_was_before(sandbox: Sandbox) -> None:
    customer = await sandbox.api.customers.create_async({"name": "Avant", "metadata": {"a": "1", "b": "2"}})
    await sandbox.api.customers.update_async(customer.id, {"name": "Après", "metadata": {"a": "", "c": "3"}})
    await sandbox.all_delivered()
    (updated,) = sandbox.receiver.events("customer.updated")
    assert updated["data"]["object"]["metadata"] == {"b": "2", "c": "3"}
    assert updated["data"]["previous_attributes"] == {"name": "Avant", "metadata": {"a": "1", "c": None}}
