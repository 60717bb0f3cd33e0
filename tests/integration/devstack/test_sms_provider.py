"""The stand-in of smsmode: it takes what smsmode takes, reports as it does, and keeps what it took."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome
from libs.devstack.sms_provider.process import RunningSmsProvider, running_sms_provider
from libs.integrations.sms import Sms, SmsState
from libs.integrations.smsmode import Smsmode
from tests.world import until

KEY = "sms-key-of-this-test"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningSmsProvider]:
    async with running_sms_provider(tmp_path / "sms", KEY) as provider:
        yield provider


@pytest.fixture
async def smsmode(running: RunningSmsProvider) -> AsyncIterator[Smsmode]:
    client = Smsmode(KEY, api_base=running.control.base_url, timeout_seconds=2, requests_per_second=100)
    yield client
    await client.close()


def sms(reference: str = "ours", **changes: Any) -> Sms:
    values: dict[str, Any] = {"recipient": "+33612345678", "text": "Bonjour", "sender": "Relance", **changes}
    return Sms(**values, reference=reference)


async def test_what_is_taken_is_kept_over_a_restart_and_found_by_our_reference(
    running: RunningSmsProvider, smsmode: Smsmode, tmp_path: Path
) -> None:
    since = datetime.now(UTC) - timedelta(minutes=1)
    for number in range(150):
        await smsmode.send(sms(f"ours-{number}"))

    async def is_delivered() -> bool:
        found = await smsmode.find("ours-3", since=since)
        return found is not None and found.state is SmsState.DELIVERED

    await until(is_delivered, what="a look-up through two pages")
    assert await smsmode.find("theirs", since=since) is None
    assert await smsmode.find("ours-3", since=datetime.now(UTC) + timedelta(hours=1)) is None
    running.process.kill()
    await running.process.wait()
    async with running_sms_provider(tmp_path / "sms", KEY) as again:
        taken = await again.control.sms()
    assert {each.reference for each in taken} == {f"ours-{number}" for number in range(150)}


async def test_bad_days_on_demand(running: RunningSmsProvider, smsmode: Smsmode) -> None:
    for manner, details, failure in (
        ("down", {"status": 429, "retry_after_seconds": 0}, TemporaryFailure),
        ("down", {"status": 500}, UnknownOutcome),
        ("lost", {}, UnknownOutcome),
        ("silent", {}, UnknownOutcome),
        ("nonsense", {}, UnknownOutcome),
        ("refused", {}, PermanentFailure),
        ("slow", {"delay_seconds": 2.5}, UnknownOutcome),
    ):
        await running.control.be(manner, **details)  # type: ignore[arg-type]  # as a list of words
        with pytest.raises(failure):
            await smsmode.send(sms(manner))

    async def kept() -> bool:
        return {each.reference for each in await running.control.sms()} == {"lost", "nonsense", "slow"}

    await until(kept, what="what it took, although it did not say so")


async def test_a_wrong_key_or_sender_is_refused(running: RunningSmsProvider, smsmode: Smsmode) -> None:
    with pytest.raises(PermanentFailure, match="INVALID_SENDER"):
        await smsmode.send(sms(sender="Bien trop long"))
    with pytest.raises(PermanentFailure, match="INVALID_PHONE_NUMBER"):
        await smsmode.send(sms(recipient="Paul"))
    stranger = Smsmode("wrong", api_base=running.control.base_url, timeout_seconds=2, requests_per_second=9)
    with pytest.raises(TemporaryFailure, match="401"):
        await stranger.send(sms())
    with pytest.raises(TemporaryFailure, match="401"):
        await stranger.find("ours", since=datetime.now(UTC))
    await stranger.close()
    assert await running.control.sms() == []


async def test_nothing_is_begun_while_it_asks_for_rest(running: RunningSmsProvider, smsmode: Smsmode) -> None:
    assert smsmode.room(8) == 8
    await running.control.be("down", status=429, retry_after_seconds=60)
    with pytest.raises(TemporaryFailure) as caught:
        await smsmode.send(sms())
    assert caught.value.retry_after_seconds == 60
    assert smsmode.room(8) == 0


async def test_the_page_shows_what_was_sent_and_its_buttons_work(
    running: RunningSmsProvider, smsmode: Smsmode
) -> None:
    await smsmode.send(sms(text="<b>Vos lignes</b> : réglé ?"))
    async with httpx.AsyncClient(base_url=running.control.base_url, follow_redirects=True) as http:
        page = (await http.get("/")).text
        assert "&lt;b&gt;Vos lignes&lt;/b&gt;" in page
        assert "+33612345678" in page
        for path, form in (
            ("/trouble", {"manner": "down"}),
            ("/fate", {"fate": "shuffled"}),
            ("/stop", {"number": "33612345678"}),
        ):
            assert (await http.post(path, data=form)).status_code == 200
        assert (await http.post("/trouble", data={"manner": "dance"})).status_code == 404
        with pytest.raises(TemporaryFailure):
            await smsmode.send(sms())
        assert (await http.post("/behave")).status_code == 200
        await smsmode.send(sms())
