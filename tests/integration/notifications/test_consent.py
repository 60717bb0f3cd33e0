"""Who objects is heard: at the moment of the claim, by one click, by an operator; and notices still leave."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from libs.common.database import Database
from libs.common.errors import MisconfiguredError
from libs.common.events.directory import CompanyRegistered
from libs.common.events.notifications import (
    DeliverySuppressed,
    RecipientResubscribed,
    RecipientUnsubscribed,
)
from libs.common.service import Door
from libs.common.settings import load
from services.notifications import suppressions
from services.notifications.consent_settings import ConsentSettings
from services.notifications.domain import Reason, Scope
from tests.integration.notifications.office import READER, SENDER, Office
from tests.servers.shared import APP_SECRET
from tests.unit.notifications.facts import AT, Customer
from tests.world import until

PUBLIC = "https://relance.test/notifications"
KEY = {"X-Api-Key": "an-internal-key-for-tests"}
OPEN: dict[str, Any] = {
    "notifications_public_url": PUBLIC,
    "interne_apikey": KEY["X-Api-Key"],
    "marketing_most_a_day": 100,
    "marketing_most_a_week": 100,
}
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
STRICT = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow, noarchive",
}


POSSIBLE: tuple[tuple[str, dict[str, Any]], ...] = (("GET", {}), ("POST", {"data": ONE_CLICK}))


def signup_key(customer: Customer) -> str:
    return f"signup:{customer.company_id}:signup_first_step"


async def sent_links(office: Office, customer: Customer) -> tuple[str, str]:
    """The paths of its sign-up mail's links: to unsubscribe, and to the preferences."""
    await office.world.tell(customer.signup_step())
    await office.until_status(signup_key(customer), "accepted")
    [mail] = await office.mails.mails(recipient=customer.email)
    text = (await office.mails.mail(mail.id)).text or ""
    found = {name: re.search(rf"{PUBLIC}(/{name}/\S+)", text) for name in ("u", "preferences")}
    assert found["u"] is not None
    assert found["preferences"] is not None
    return found["u"][1], found["preferences"][1]


async def in_force(office: Office) -> list[tuple[str, str, str]]:
    rows = await office.world.rows(
        "notifications",
        "select target, scope, reason from suppressions where lifted_at is null order by 1, 2, 3",
    )
    return [tuple(row.values()) for row in rows]


def database(office: Office) -> Database:
    url = office.settings().service_database_url("notifications")
    return Database(url, service="notifications", teller="notifications")


async def add(office: Office, target: str, **changes: Any) -> None:
    own = database(office)
    try:
        async with own.begin() as uow:
            await suppressions.add(uow, target, **{"reason": Reason.BY_HAND, "by": "test", **changes})
    finally:
        await own.close()


async def test_one_click_unsubscribes_from_marketing_and_from_nothing_else(office: Office) -> None:
    customer = Customer("Anne@Exemple.fr")
    async with office.open(**OPEN) as client:
        unsubscribe, _ = await sent_links(office, customer)
        [mail] = await office.mails.mails()
        headers = {name.lower(): value for name, value in (await office.mails.mail(mail.id)).all_headers}
        assert headers["list-unsubscribe"] == (
            f"<{PUBLIC}{unsubscribe}>, <mailto:relance@relance.test?subject=D%C3%A9sinscription>"
        )
        assert headers["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
        for _ in range(3):  # a mail server may repeat itself
            assert (await client.post(unsubscribe, data=ONE_CLICK)).status_code == 200
        assert await in_force(office) == [("anne@exemple.fr", "marketing", "unsubscribed")]

        other = Customer("anne@exemple.FR")
        await office.world.tell(other.signup_step())
        for fact in (customer.unpaid("in_1"), customer.paid("in_2")):
            await office.world.tell(fact)
        suppressed = await office.until_status(signup_key(other), "suppressed")
        await office.until_status("unpaid:in_1:1", "accepted")
        await office.until_status("payment_receipt:in_2", "accepted")
        [told] = await until(lambda: office.told(DeliverySuppressed, 1))
        [unsubscribed] = await until(lambda: office.told(RecipientUnsubscribed, 1))
    assert (suppressed["why"], told.why) == ("unsubscribed", "unsubscribed")
    assert "anne@exemple.fr (marketing)" in suppressed["answer"]
    assert unsubscribed.company_id == customer.company_id
    assert unsubscribed.category == "marketing"


async def test_only_marketing_offers_to_unsubscribe(office: Office) -> None:
    customer = Customer()
    async with office.open(**OPEN):
        for fact in (customer.unpaid("in_1"), customer.paid("in_2"), customer.cut("in_1")):
            await office.world.tell(fact)
        # The cut is told by SMS too, to nobody: the directory names no number.
        await office.until_all(4, "accepted", "suppressed")
    mails = await office.mails.mails()
    assert len(mails) == 3
    for mail in mails:
        full = await office.mails.mail(mail.id)
        assert not {name for name, _ in full.all_headers if name.lower().startswith("list-")}
        assert f"{PUBLIC}/u/" not in (full.text or "")
        assert f"{PUBLIC}/preferences/" in (full.text or ""), "their page is offered instead"


async def test_without_an_address_of_ours_people_object_by_mail(office: Office) -> None:
    async with office.open(mail_unsubscribe_address="stop@relance.test"):
        customer = Customer()
        await office.world.tell(customer.signup_step())
        await office.until_status(signup_key(customer), "accepted")
    [mail] = await office.mails.mails()
    full = await office.mails.mail(mail.id)
    headers = {name.lower(): value for name, value in full.all_headers}
    assert headers["list-unsubscribe"] == "<mailto:stop@relance.test?subject=D%C3%A9sinscription>"
    assert "list-unsubscribe-post" not in headers, "a mailto is not of one click"
    assert "écrivez à stop@relance.test" in (full.text or "")


async def test_opening_the_link_changes_nothing(office: Office) -> None:
    async with office.open(**OPEN) as client:
        unsubscribe, preferences = await sent_links(office, Customer())
        for path in (unsubscribe, preferences):
            page = await client.get(path)
            assert page.status_code == 200
            assert page.headers.items() >= STRICT.items()
            assert "form-action 'self'" in page.headers["content-security-policy"]
            assert "script" not in page.headers["content-security-policy"]
            assert "<form" in page.text
            assert "<script" not in page.text
            assert "c•••@exemple.fr" in page.text
            assert "compta@" not in page.text
            assert not page.cookies
            for look in ({"Sec-Purpose": "prefetch"}, {"X-Moz": "prefetch"}):
                assert (await client.get(path, headers=look)).status_code == 204
            assert (await client.head(path)).status_code == 204
        assert await in_force(office) == []


async def test_a_body_that_is_no_form_of_ours_changes_nothing(office: Office) -> None:
    async with office.open(**OPEN) as client:
        unsubscribe, preferences = await sent_links(office, Customer())
        multipart = {"List-Unsubscribe": (None, "One-Click")}
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        wrong: list[tuple[int, dict[str, Any]]] = [
            (400, {}),
            (400, {"data": {"List-Unsubscribe": "yes"}}),
            (400, {"data": {"other": "One-Click"}}),
            (400, {"json": ONE_CLICK}),
            (400, {"content": b"\xff\xfe=%", "headers": form}),
            (400, {"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}}),
            (400, {"content": "&".join(f"a{n}=1" for n in range(50)), "headers": form}),
            (400, {"files": {"List-Unsubscribe": ("x.txt", b"One-Click")}}),
            (413, {"content": b"List-Unsubscribe=One-Click&x=" + b"x" * 9000, "headers": form}),
        ]
        for path in (unsubscribe, preferences):
            for status, body in wrong:
                answer = await client.post(path, **body)
                assert answer.status_code == status, (path, body)
                assert "Rien n’a changé" in answer.text
        assert await in_force(office) == []
        assert (await client.post(unsubscribe, files=multipart)).status_code == 200
        assert len(await in_force(office)) == 1


async def test_every_guess_gets_the_same_answer(office: Office) -> None:
    customer = Customer()
    async with office.open(**OPEN) as client:
        unsubscribe, preferences = await sent_links(office, customer)
        good = unsubscribe.removeprefix("/u/")
        said, _, signature = good.rpartition(".")
        theirs = office.settings(**OPEN, app_secret=APP_SECRET + "other").preference_links
        [row] = await office.deliveries()
        unknown = "u.6f1c1c1e-0000-4000-8000-000000000001." + ".".join(good.split(".")[2:])
        guesses = [
            "", "x", str(row["id"]), f"{said}.{signature[::-1]}", "p" + good[1:], good.upper(), unknown,
            good + "/..%2f", preferences.removeprefix("/preferences/"), "x" * 5000, "a.b.c.d", "%00", "é",
            theirs.for_preferences(office.settings(**OPEN).preference_links.read(good, "u")),  # type: ignore[arg-type]
        ]  # fmt: skip
        answers = [
            await client.request(method, f"/{door}/{guess}", **more)
            for guess in guesses
            for door in ("u", "preferences")
            for method, more in POSSIBLE
            if not (door == "preferences" and guess == preferences.removeprefix("/preferences/"))
        ]
        await office.world.rows("notifications", "update deliveries set recipient = null")
        answers.append(await client.get(unsubscribe))  # signed, but erased
        answers.append(await client.post(unsubscribe, data=ONE_CLICK))
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
    assert await in_force(office) == []


async def test_a_link_that_ran_out_says_what_to_do_and_names_nobody(office: Office) -> None:
    async with office.open(**OPEN) as client:
        unsubscribe, _ = await sent_links(office, Customer())
    settings = office.settings(**OPEN)
    link = settings.preference_links.read(unsubscribe.removeprefix("/u/"), "u")  # type: ignore[arg-type]
    assert link is not None
    assert link.until > datetime.now(UTC) + timedelta(days=1000)
    signer = settings.preference_links._signer
    old = signer.sign(type(link)("u", link.subject, datetime.now(UTC) - timedelta(seconds=1)))
    async with office.open(**OPEN) as client:
        for answer in (await client.get(f"/u/{old}"), await client.post(f"/u/{old}", data=ONE_CLICK)):
            assert answer.status_code == 410
            assert "exemple.fr" not in answer.text
    assert await in_force(office) == []


async def test_one_link_opened_too_often_waits_and_the_others_do_not(office: Office) -> None:
    async with office.open(**OPEN, preference_opens_per_minute_and_link=3) as client:
        first, _ = await sent_links(office, Customer("un@exemple.fr"))
        second, _ = await sent_links(office, Customer("deux@exemple.fr"))
        answers = [(await client.get(first)).status_code for _ in range(5)]
        assert answers == [200, 200, 200, 429, 429]
        refused = await client.post(first, data=ONE_CLICK)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        assert (await client.post(second, data=ONE_CLICK)).status_code == 200
    assert await in_force(office) == [("deux@exemple.fr", "marketing", "unsubscribed")]


async def test_preferences_switch_marketing_off_and_on_by_channel(office: Office) -> None:
    customer = Customer()
    async with office.open(**OPEN) as client:
        registered = CompanyRegistered(
            company_id=customer.company_id, name="É", email="compta@exemple.fr", phone="06 12 34 56 78",
            registered_at=AT,
        )  # fmt: skip
        await office.world.tell(registered)
        await until(lambda: office.world.rows("notifications", "select 1 from companies"))
        _, path = await sent_links(office, customer)

        async def choose(**chosen: str) -> httpx.Response:
            answer = await client.post(path, data={"form": "preferences", **chosen})
            assert answer.status_code == 200
            assert "Vos choix sont enregistrés" in answer.text
            return answer

        page = await client.get(path)
        assert page.text.count(" checked") == 2
        assert "+33•••••78" in page.text
        assert "Toujours envoyés" in page.text
        assert (await choose(marketing_mail="on")).text.count(" checked") == 1
        assert await in_force(office) == [("+33612345678", "marketing", "unsubscribed")]
        assert (await choose()).text.count(" checked") == 0
        await choose()
        assert len(await in_force(office)) == 2
        assert (await choose(marketing_mail="on", marketing_sms="on")).text.count(" checked") == 2
        assert await in_force(office) == []

        # What is not their own wish is not theirs to lift.
        await add(office, "compta@exemple.fr", reason=Reason.HARD_BOUNCE)
        page = await choose(marketing_mail="on", marketing_sms="on")
        assert page.text.count(" disabled") == 1
        assert await in_force(office) == [("compta@exemple.fr", "all", "hard_bounce")]
        off = await until(lambda: office.told(RecipientUnsubscribed, 2))
        on = await until(lambda: office.told(RecipientResubscribed, 2))
    assert sorted(each.channel for each in off) == sorted(each.channel for each in on) == ["mail", "sms"]


async def test_a_dead_address_holds_back_even_a_notice_and_that_is_told(office: Office) -> None:
    await add(office, "compta@exemple.fr", reason=Reason.HARD_BOUNCE)
    await add(office, "@ailleurs.example", reason=Reason.UNSUBSCRIBED)
    async with office.open():
        await office.world.tell(Customer().unpaid("in_1"))
        await office.world.tell(Customer("x@ailleurs.example").unpaid("in_2"))
        await office.until_status("unpaid:in_2:1", "accepted")
        delivery = await office.until_status("unpaid:in_1:1", "suppressed")
        [told] = await until(lambda: office.told(DeliverySuppressed, 1))
    assert (delivery["why"], told.why, told.kind) == ("hard_bounce", "hard_bounce", "unpaid")


async def test_a_suppression_that_was_added_before_the_claim_counts(office: Office) -> None:
    """However closely the two follow each other: what is sent after the answer was claimed before it."""
    customers = [Customer(f"client{n}@exemple.fr") for n in range(60)]
    await office.queue(*(customer.signup_step() for customer in customers))
    own = database(office)
    added_at: dict[str, datetime] = {}

    async def suppress(customer: Customer) -> None:
        async with own.begin() as uow:
            await suppressions.add(uow, customer.email or "", reason=Reason.UNSUBSCRIBED, by="test")
        [row] = await office.world.rows("notifications", "select clock_timestamp() as at")
        added_at[customer.email or ""] = row["at"]

    try:
        async with office.open(SENDER, smtp_connections=2):
            await asyncio.gather(*(suppress(customer) for customer in reversed(customers[10:])))
            await office.until_all(60, "accepted", "suppressed")
    finally:
        await own.close()
    rows = await office.deliveries()
    assert any(row["status"] == "suppressed" for row in rows)
    for row in rows:
        if row["status"] == "accepted" and row["recipient"] in added_at:
            assert row["sending_at"] < added_at[row["recipient"]]


async def test_an_address_that_is_being_suppressed_waits_for_the_end_of_it(office: Office) -> None:
    await office.queue(Customer().signup_step())
    own = database(office)
    try:
        async with office.open(SENDER), own.begin() as uow:
            await suppressions.add(uow, "@exemple.fr", reason=Reason.UNSUBSCRIBED, by="test")
            await asyncio.sleep(1)  # several turns of the claimer
            [row] = await office.deliveries()
            assert row["status"] == "pending"
            await uow.session.commit()
            await office.until_all(1, "suppressed")
    finally:
        await own.close()


async def test_the_internal_door_adds_lifts_lists_and_explains(office: Office) -> None:
    async with office.open(**OPEN) as client:
        path = "/internal/suppressions"
        assert (await client.get(path)).status_code == 401
        client.headers.update(KEY)
        asked = {"target": "@Exemple.FR", "scope": "all", "by": "Léa", "note": "ils sont partis"}
        first = await client.post(path, json=asked)
        again = await client.post(path, json=asked)
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        number = await client.post(path, json={"target": "06 12 34 56 78", "scope": "sms", "by": "Léa"})
        assert number.json()["target"] == "+33612345678"

        page = (await client.get(path, params={"limit": 1})).json()
        rest = (await client.get(path, params={"limit": 1, "after": page["next"]})).json()
        assert [each["target"] for each in page["suppressions"] + rest["suppressions"]] == [
            "+33612345678",
            "@exemple.fr",
        ]
        assert rest["next"] is None
        of_anne = (await client.get(path, params={"target": "ANNE@exemple.fr"})).json()
        assert [each["target"] for each in of_anne["suppressions"]] == ["@exemple.fr"]

        explained = (await client.get(f"{path}/explain", params={"recipient": "anne@exemple.fr"})).json()
        assert {each["category"]: each["is_sent"] for each in explained["verdicts"]} == {
            "legal": True,
            "transactional": False,
            "marketing": False,
            "internal": False,
        }
        suppression_id = first.json()["id"]
        lifted = await client.post(f"{path}/{suppression_id}/lift", json={"by": "Paul", "note": "erreur"})
        assert lifted.json()["lifted_by"] == "Paul"
        twice = await client.post(f"{path}/{suppression_id}/lift", json={"by": "Zoé"})
        assert twice.json() == lifted.json()
        listed = (await client.get(path, params={"target": "@exemple.fr"})).json()["suppressions"]
        assert listed == []
        history = (await client.get(path, params={"target": "@exemple.fr", "with_lifted": True})).json()
        assert [each["id"] for each in history["suppressions"]] == [suppression_id]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"target": "anne"}, "target"),
        ({"target": "anne@exemple.fr\r\nBcc: x@y.fr"}, "target"),
        ({"target": "a@x.fr, b@x.fr"}, "target"),
        ({"target": "06 12"}, "target"),
        ({"target": "\ud800@x.fr"}, "target"),
        ({"by": "\ud800"}, "by"),
        ({"\ud800": 1}, "body"),
        ({"scope": "everything"}, "scope"),
        ({"scope": "kind:nothing"}, "scope"),
        ({"scope": "sms"}, "scope"),
        ({"reason": "because"}, "reason"),
        ({"by": " "}, "by"),
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
        ({"until": "2030-01-01T00:00:00"}, "until"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_what_is_wrong_is_refused_with_where_and_what_to_do(
    office: Office, changes: dict[str, Any], where: str
) -> None:
    async with office.open(**OPEN) as client:
        body = json.dumps({"target": "anne@exemple.fr", "by": "Léa", **changes})
        headers = {**KEY, "Content-Type": "application/json"}
        answer = await client.post("/internal/suppressions", content=body, headers=headers)
    assert answer.status_code == 422
    [error] = answer.json()["detail"]
    assert error["loc"][-1] == where
    assert error["msg"]
    assert await in_force(office) == []


async def test_unknown_kinds_categories_and_ids_are_4xx(office: Office) -> None:
    async with office.open(**OPEN) as client:
        client.headers.update(KEY)
        path = "/internal/suppressions"
        for params in ({"kind": "nothing"}, {"category": "spam"}, {"recipient": "nobody"}):
            asked = {"recipient": "anne@exemple.fr", **params}
            assert (await client.get(f"{path}/explain", params=asked)).status_code == 422
        nobody = "6f1c1c1e-0000-4000-8000-000000000001"
        assert (await client.post(f"{path}/{nobody}/lift", json={"by": "x"})).status_code == 404
        assert (await client.post(f"{path}/x/lift", json={"by": "x"})).status_code == 422
        assert (await client.get(path, params={"after": nobody})).status_code == 422


async def test_one_that_is_over_begins_anew_and_a_later_end_counts(office: Office) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    for until_ in (soon, soon + timedelta(days=1), soon):
        await add(office, "@exemple.fr", until=until_)
    [row] = await office.world.rows("notifications", "select until from suppressions")
    assert row["until"] == soon + timedelta(days=1)
    await office.world.rows("notifications", "update suppressions set until = now() - interval '1 minute'")
    await add(office, "@exemple.fr")
    rows = await office.world.rows(
        "notifications", "select until, lifted_at is null as is_on from suppressions order by added_at"
    )
    assert [row["is_on"] for row in rows] == [False, True]
    assert rows[1]["until"] is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hours_marketing_sms": "always"}, "Sunday"),
        ({"hours_marketing_sms": "mon-sun 10:00-20:00"}, "Sunday"),
        ({"hours_marketing_sms": "mon-sat 10:00-20:00, holiday 10:00-12:00"}, "public holiday"),
        ({"hours_marketing_sms": "mon-fri 7:00-20:00"}, "8:00"),
        ({"hours_legal_sms": "from nine"}, "no window"),
        ({"mail_unsubscribe_address": "nobody"}, "ni une adresse"),
        ({"mail_unsubscribe_address": "@exemple.fr"}, "write an address"),
        ({"mail_unsubscribe_address": "0612345678"}, "write an address"),
        ({"notifications_public_url": "relance.test"}, "pattern"),
        ({"unsubscribe_link_days": 3}, "60"),
    ],
)
def test_settings_that_break_the_law_or_say_nothing_refuse_to_start(
    changes: dict[str, object], said: str
) -> None:
    needed = {"app_env": "test", "app_secret": APP_SECRET, "kafka_bootstrap_servers": "127.0.0.1:9"}
    with pytest.raises(MisconfiguredError, match=said):
        load(ConsentSettings, **needed, **changes)


async def test_a_reader_alone_adds_no_relay(office: Office) -> None:
    """What a click told waits in the outbox for a process that tells: it is not lost."""
    customer = Customer()
    async with office.open(**OPEN):
        unsubscribe, _ = await sent_links(office, customer)
    async with office.open(frozenset({Door.HTTP}), **OPEN) as client:
        assert (await client.post(unsubscribe, data=ONE_CLICK)).status_code == 200
        assert await office.world.told(RecipientUnsubscribed) == []
    async with office.open(READER):
        await until(lambda: office.told(RecipientUnsubscribed, 1))
    assert Scope.MARKETING in {scope for _, scope, _ in await in_force(office)}
