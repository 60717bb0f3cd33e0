"""From a fact about lines to the phone platform's confirmation, on a platform with bad days."""

from __future__ import annotations

import asyncio
import base64
import itertools
import logging
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from libs.common.events import CompanyEvent
from libs.common.events.billing import LineCut, LineRestored, LineRestricted, LineStateConfirmed
from libs.common.events.directory import NumberAssigned, NumberReleased
from libs.devstack.phone_platform.process import RunningPlatform, running_platform
from services.billing.app import create_app
from services.billing.domain import wish_of
from services.billing.settings import BillingSettings
from tests.world import World, until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHERS_SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, no less").decode()
AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

F = TypeVar("F", LineCut, LineRestored, LineRestricted)


def line(fact: type[F], company: UUID, episode: int = 1) -> F:
    return fact(company_id=company, episode=episode, at=AT, policy_version="1", why="impayé")


def released(company: UUID, number: str = "+33970700001", at: datetime = AT) -> NumberReleased:
    return NumberReleased(company_id=company, number=number, released_at=at, why="résilié")


class House:
    """A world with a phone platform; billing is opened in it, once or several times."""

    def __init__(self, world: World, platform: RunningPlatform) -> None:
        self.world = world
        self.platform = platform.control

    def settings(self, **changes: object) -> BillingSettings:
        values: dict[str, object] = {
            "stripe_sk": "sk_test_1",
            "stripe_webhook_secrets": "whsec_1",
            "stripe_api_base": "http://127.0.0.1:1",
            "platform_webhook_url": self.platform.webhook_url,
            "platform_webhook_secret": SECRET,
            "platform_timeout_seconds": 2.5,
            "retry_longest_seconds": 0.5,
            **changes,
        }
        return self.world.settings(BillingSettings, **values)

    @asynccontextmanager
    async def open(self, **changes: object) -> AsyncIterator[httpx.AsyncClient]:
        async with self.world.running(create_app(self.settings(**changes))) as http:
            yield http

    async def wishes(self, company: UUID) -> list[dict[str, Any]]:
        return await self.world.rows(
            "billing", "select * from line_wishes where company_id = $1 order by seq", company
        )

    async def until_states(self, company: UUID, *states: str) -> list[dict[str, Any]]:
        async def look() -> list[dict[str, Any]]:
            rows = await self.wishes(company)
            return rows if [row["state"] for row in rows] == list(states) else []

        return await until(look, what=f"wishes that are {states}")

    async def until_tried(self, fact: Any, times: int = 1) -> None:
        async def look() -> bool:
            sql = "select state, tries from line_wishes where wish_id = $1"
            rows = await self.world.rows("billing", sql, wish_of(fact).wish_id)
            return bool(rows) and rows[0]["tries"] >= times

        await until(look, what="the wish being tried")

    async def until_kept(self, fact: Any) -> None:
        await self.until_tried(fact, 0)

    async def confirmed(self, company: UUID, *, count: int = 1) -> list[LineStateConfirmed]:
        async def look() -> list[LineStateConfirmed]:
            told = [e for e in await self.world.told(LineStateConfirmed) if e.company_id == company]
            return told if len(told) >= count else []

        return await until(look, what="LineStateConfirmed")

    async def state_of(self, company: UUID) -> str | None:
        lines = await self.platform.lines(company)
        return None if lines is None else lines.state

    async def tell_all(self, *facts: CompanyEvent) -> None:
        for fact in facts:
            await self.world.tell(fact)


@pytest.fixture
async def house(world: World, tmp_path: Path) -> AsyncIterator[House]:
    async with running_platform(tmp_path / "platform", SECRET) as platform:
        yield House(world, platform)


async def test_a_cut_reaches_the_platform_signed_and_its_confirmation_is_kept_and_told(house: House) -> None:
    company = uuid4()
    number = NumberAssigned(company_id=company, number="+33970700001", assigned_at=AT)
    async with house.open():
        await house.tell_all(number)
        await until(lambda: house.world.rows("billing", "select number from numbers"), what="the number")
        fact = await house.world.tell(line(LineCut, company), copies=3)
        [row] = await house.until_states(company, "confirmed")
        [told] = await house.confirmed(company)
    lines = await house.platform.lines(company)
    assert lines is not None
    assert (lines.state, lines.numbers) == ("cut", ("+33970700001",))
    assert lines.reachable == ("15", "17", "18", "112", "114", "115", "119", "196")
    [received] = await house.platform.received(company)
    assert (received.type, received.trouble) == ("line.cut", None)
    assert (told.wish_id, told.wanted, told.is_done, told.answer) == (row["wish_id"], "cut", True, "fait")
    [envelope] = [e for e in await house.world.envelopes("billing") if e.type == LineStateConfirmed.type]
    assert envelope.causation_id == fact.event_id


async def test_what_is_no_longer_wanted_when_the_platform_comes_back_is_not_done(house: House) -> None:
    company = uuid4()
    await house.platform.be("down", times=0)
    async with house.open():
        for fact in (line(LineRestricted, company), line(LineCut, company), line(LineRestored, company)):
            await house.world.tell(fact)
            await house.until_tried(fact)
        await house.until_tried(line(LineRestored, company), 3)
        await house.platform.behave()
        rows = await house.until_states(company, "superseded", "superseded", "confirmed")
        [told] = await house.confirmed(company)
    assert {row["superseded_by"] for row in rows[:2]} <= {rows[1]["wish_id"], rows[2]["wish_id"]}
    assert rows[1]["superseded_by"] == rows[2]["wish_id"]
    assert "503" in rows[0]["last_answer"]
    lines = await house.platform.lines(company)
    assert lines is not None
    assert (lines.state, len(lines.done)) == ("normal", 1)
    assert told.wanted == "normal"


async def test_one_company_waits_in_order_and_the_others_go_on(house: House) -> None:
    held, other = uuid4(), uuid4()
    await house.platform.be("down", times=0, company_id=held)
    async with house.open():
        first = released(held)
        await house.world.tell(first)
        await house.until_tried(first)
        await house.tell_all(line(LineCut, held), line(LineCut, other))
        await house.until_states(other, "confirmed")
        await house.until_tried(first, 3)
        await house.until_states(held, "pending", "pending")
        assert (await house.wishes(held))[1]["tries"] == 0
        await house.platform.behave()
        await house.until_states(held, "confirmed", "confirmed")
    answered = [r.type for r in await house.platform.received(held) if r.answer == "fait"]
    assert answered == ["number.released", "line.cut"]


async def test_an_answer_lost_after_acting_is_asked_for_again_under_the_same_id(house: House) -> None:
    company = uuid4()
    await house.platform.be("lost", times=2)
    async with house.open():
        await house.world.tell(line(LineCut, company))
        [row] = await house.until_states(company, "confirmed")
    received = await house.platform.received(company)
    assert len({r.webhook_id for r in received}) == 1
    assert [r.answer for r in received][-1] == "déjà fait"
    assert row["tries"] >= 3
    assert row["last_answer"] == "déjà fait"
    lines = await house.platform.lines(company)
    assert lines is not None
    assert len(lines.done) == 1


async def test_a_slow_platform_is_given_up_on_and_asked_again(house: House) -> None:
    company = uuid4()
    await house.platform.be("slow", delay_seconds=1.5)
    async with house.open(platform_timeout_seconds=0.5):
        await house.world.tell(line(LineCut, company))
        [row] = await house.until_states(company, "confirmed")
    assert row["tries"] >= 2
    assert await house.state_of(company) == "cut"


@pytest.mark.parametrize(("manner", "details"), [("no", {}), ("down", {"status": 422})])
async def test_a_no_is_told_and_alerted_and_never_asked_again(
    house: House, caplog: pytest.LogCaptureFixture, manner: Any, details: dict[str, Any]
) -> None:
    company = uuid4()
    await house.platform.be(manner, **details)
    async with house.open():
        await house.world.tell(line(LineCut, company))
        await house.until_states(company, "refused")
        [told] = await house.confirmed(company)
        assert not told.is_done
        assert [r.levelname for r in caplog.records if "is refused" in r.getMessage()] == ["ERROR"]
        await house.world.tell(line(LineRestored, company))
        await house.until_states(company, "refused", "confirmed")
    assert [r.type for r in await house.platform.received(company)] == ["line.cut", "line.restored"]


@pytest.mark.parametrize("manner", ["nonsense", "taken"])
async def test_a_2xx_that_confirms_nothing_is_asked_again(house: House, manner: Any) -> None:
    company = uuid4()
    await house.platform.be(manner, times=2)
    async with house.open():
        await house.world.tell(line(LineCut, company))
        [row] = await house.until_states(company, "confirmed")
    assert row["tries"] >= 3
    assert row["accepted_at"] is not None
    assert row["accepted_at"] <= row["settled_at"]
    assert await house.state_of(company) == "cut"


async def test_a_wrong_secret_moves_no_line(house: House) -> None:
    company = uuid4()
    async with house.open(platform_webhook_secret=OTHERS_SECRET):
        await house.world.tell(line(LineCut, company))
        await house.until_states(company, "refused")
    [received] = await house.platform.received(company)
    assert received.trouble is not None
    assert await house.platform.lines(company) is None


async def test_both_secrets_sign_while_one_is_being_rolled(house: House) -> None:
    company = uuid4()
    async with house.open(platform_webhook_secret=f"{OTHERS_SECRET},{SECRET}"):
        await house.world.tell(line(LineCut, company))
        await house.until_states(company, "confirmed")


async def test_two_instances_send_each_wish_once(house: House) -> None:
    companies = [uuid4() for _ in range(15)]
    async with house.open(), house.open():
        await house.tell_all(*(line(LineCut, company) for company in companies))
        for company in companies:
            await house.until_states(company, "confirmed")
    counted = Counter(r.company_id for r in await house.platform.received())
    assert counted == Counter(dict.fromkeys(map(str, companies), 1))


def environment_of(settings: BillingSettings) -> dict[str, str]:
    values = settings.model_dump(exclude_none=True)
    plain = {n: v.get_secret_value() if isinstance(v, SecretStr) else v for n, v in values.items()}
    written = {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in plain.items()}
    return {name.upper(): value for name, value in written.items()}


async def test_a_sender_killed_half_way_is_replaced_under_the_same_id(house: House, tmp_path: Path) -> None:
    company = uuid4()
    fact = line(LineCut, company)
    await house.platform.be("slow", delay_seconds=1.5)
    settings = house.settings()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", "run", "billing", "--doors", "kafka,clock"),
        env=os.environ | environment_of(settings) | {"PYTHONPATH": str(Path(__file__).parents[3])},
        cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await house.world.tell(fact)

        async def is_sending() -> bool:
            return [row["state"] for row in await house.wishes(company)] == ["sending"]

        await until(is_sending, seconds=40, what="the first sender being half-way")
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with house.open():
        [row] = await house.until_states(company, "confirmed")
    assert row["tries"] == row["fence"] >= 2
    received = await house.platform.received(company)
    assert {r.webhook_id for r in received} == {f"wish_{row['wish_id'].hex}"}
    lines = await house.platform.lines(company)
    assert lines is not None
    assert len(lines.done) == 1


async def test_a_sender_killed_half_way_whose_wish_is_wanted_no_more_is_not_replaced(house: House) -> None:
    company = uuid4()
    cut, restored = line(LineCut, company), line(LineRestored, company)
    await house.platform.be("down", times=0)
    async with house.open(retry_first_seconds=60, retry_longest_seconds=60):
        await house.world.tell(cut)
        await house.until_tried(cut)
    await house.world.rows(
        "billing",
        "update line_wishes set state = 'sending', due_at = now(), lease_until = now() + interval '1 second'",
    )
    await house.platform.behave()
    async with house.open():
        await house.world.tell(restored)
        await house.until_states(company, "superseded", "confirmed")
    lines = await house.platform.lines(company)
    assert lines is not None
    assert (lines.state, len(lines.done)) == ("normal", 1)


async def test_an_old_fact_that_is_replayed_late_wants_nothing(house: House) -> None:
    company = uuid4()
    async with house.open():
        await house.world.tell(line(LineRestored, company, 2), revision=9)
        await house.until_states(company, "confirmed")
        await house.world.tell(line(LineCut, company, 1), revision=3)
        await house.until_states(company, "confirmed", "superseded")
    assert await house.state_of(company) == "normal"


async def test_a_number_given_again_is_not_released_any_more(house: House) -> None:
    company = uuid4()
    release = released(company)
    again = NumberAssigned(company_id=company, number=release.number, assigned_at=AT + timedelta(days=1))
    await house.platform.be("down", times=0)
    async with house.open():
        await house.world.tell(release)
        await house.until_tried(release)
        await house.world.tell(again)
        await until(
            lambda: house.world.rows("billing", "select from numbers where assigned_at is not null"),
            what="the number",
        )
        await house.until_states(company, "superseded")
    assert await house.platform.lines(company) is None


async def test_the_numbers_of_a_company_are_the_same_in_any_order(world: World) -> None:
    house = House(world, RunningPlatform(None, 1, _Nowhere()))  # type: ignore[arg-type]  # nothing is sent
    moments = [AT + timedelta(hours=h) for h in range(4)]
    async with house.open(platform_webhook_url=None) as http:
        companies = []
        for order in itertools.permutations(range(4)):
            companies.append(company := uuid4())
            events = [
                NumberAssigned(company_id=company, number="+331", assigned_at=moments[0]),
                released(company, "+331", moments[1]),
                NumberAssigned(company_id=company, number="+331", assigned_at=moments[2]),
                NumberAssigned(company_id=company, number="+332", assigned_at=moments[3]),
            ]
            await house.tell_all(*(events[i] for i in order))

        async def all_there() -> bool:
            sql = "select count(*) as n from numbers where assigned_at is not null"
            [row] = await world.rows("billing", sql)
            [releases] = await world.rows(
                "billing", "select count(*) as n from numbers where released_at is not null"
            )
            return (row["n"], releases["n"]) == (len(companies) * 2, len(companies))

        await until(all_there, what="all numbers")
        rows = await world.rows(
            "billing", "select distinct assigned_at, released_at from numbers where number = '+331'"
        )
        assert rows == [{"assigned_at": moments[2], "released_at": moments[1]}]
        assert http is not None


class _Nowhere:
    webhook_url = None


async def test_without_a_platform_wishes_are_kept_and_that_is_said_at_the_start(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    company = uuid4()
    async with house.open(platform_webhook_url=None):
        assert "PLATFORM_WEBHOOK_URL is not set" in caplog.text
        await house.world.tell(line(LineCut, company))
        await house.until_states(company, "pending")
    async with house.open():
        await house.until_states(company, "confirmed")


async def test_a_wish_that_waits_too_long_is_counted_and_said_once(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    company = uuid4()

    def alarms() -> list[logging.LogRecord]:
        return [r for r in caplog.records if "not confirmed within" in r.getMessage()]

    await house.platform.be("down", times=0)
    async with house.open(line_alarm_seconds=0.3) as http, house.open(line_alarm_seconds=0.3):
        await house.world.tell(line(LineCut, company))

        async def is_counted() -> bool:
            return "relance_line_wishes_unconfirmed 1.0" in (await http.get("/metrics")).text

        await until(is_counted, what="the metric")
        await house.until_tried(line(LineCut, company), 5)
        assert [r.levelname for r in alarms()] == ["ERROR"]
        await house.platform.behave()
        await house.until_states(company, "confirmed")

        async def is_over() -> bool:
            return "relance_line_wishes_unconfirmed 0.0" in (await http.get("/metrics")).text

        await until(is_over, what="the metric going back")
    assert len(alarms()) == 1


async def test_the_platform_and_the_admin_pages_may_ask_what_is_wanted(house: House) -> None:
    company, keys = (
        uuid4(),
        {"platform_api_key": "a-key-of-the-platform", "interne_apikey": "an-internal-key-1"},
    )
    async with house.open(**keys) as http:
        path = f"/internal/lines/{company}"
        for wrong in ({}, {"X-Api-Key": ""}, {"X-Api-Key": "a-key-of-somebody-else"}):
            assert (await http.get(path, headers=wrong)).status_code == 401
        for key in keys.values():
            said = (await http.get(path, headers={"X-Api-Key": key})).json()
            assert (said["wanted"], said["wish"], said["confirmed"]) == ("normal", None, None)
        await house.world.tell(line(LineRestricted, company))
        await house.until_states(company, "confirmed")
        await house.platform.be("down", times=0)
        # Two tellers: the order in which both are heard is nobody's promise.
        await house.world.tell(line(LineCut, company))
        await house.until_tried(line(LineCut, company))
        await house.world.tell(released(company))
        await house.until_kept(released(company))
        said = (await http.get(path, headers={"X-Api-Key": keys["platform_api_key"]})).json()
    assert (said["wanted"], said["confirmed"]["wanted"]) == ("cut", "restricted")
    assert said["wish"]["state"] in ("pending", "sending")
    assert [release["number"] for release in said["releases"]] == ["+33970700001"]
    assert "112" in said["reachable"]


async def test_without_keys_nobody_may_ask(house: House) -> None:
    async with house.open() as http:
        answer = await http.get(f"/internal/lines/{uuid4()}", headers={"X-Api-Key": ""})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"platform_webhook_secret": None}, "PLATFORM_WEBHOOK_SECRET is empty"),
        ({"platform_webhook_secret": " , "}, "PLATFORM_WEBHOOK_SECRET is empty"),
        ({"platform_webhook_secret": "whsec_c2hvcnQ="}, "at least 24 bytes"),
        ({"platform_webhook_secret": "a-secret-without-its-prefix-and-so-on"}, "must be whsec_"),
        ({"platform_api_key": "short"}, "PLATFORM_API_KEY"),
        ({"platform_timeout_seconds": 3}, "shorter than LEASE_SECONDS"),
        ({"platform_webhook_url": "ftp://platform"}, "pattern"),
    ],
)
def test_what_could_not_work_refuses_to_start(world_settings: Any, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        world_settings(**changes)


@pytest.fixture
def world_settings() -> Any:
    def make(**changes: object) -> BillingSettings:
        values: dict[str, Any] = {
            "app_env": "test",
            "app_secret": "a-secret-for-tests-only-0123456789",
            "kafka_bootstrap_servers": "127.0.0.1:9",
            "lease_seconds": 3,
            "stripe_sk": "sk_test_1",
            "stripe_webhook_secrets": "whsec_1",
            "platform_webhook_url": "http://127.0.0.1:9/",
            "platform_webhook_secret": SECRET,
            "platform_timeout_seconds": 1,
            **changes,
        }
        return BillingSettings(**values)

    return make
