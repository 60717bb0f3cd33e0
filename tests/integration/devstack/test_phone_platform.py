"""The stand-in phone platform: it believes what is signed, does it once and in order, and keeps its books."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from standardwebhooks import Webhook

from libs.common.errors import PermanentFailure
from libs.devstack.phone_platform.process import RunningPlatform, running_platform
from libs.devstack.stack.folder import DataFolder
from libs.devstack.stack.plan import Wishes, make_plan
from libs.integrations.platform import LineOrder, PhonePlatform

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
COMPANY = uuid4()


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningPlatform]:
    async with running_platform(tmp_path / "platform", SECRET) as platform:
        yield platform


def order(wanted: str, place: int, *numbers: str) -> LineOrder:
    return LineOrder(
        wish_id=uuid4(), company_id=COMPANY, wanted=wanted, order=place, since_at=datetime.now(UTC),
        why="impayé", episode=1, numbers=numbers, reachable=("15", "112"),
    )  # fmt: skip


async def tell(running: RunningPlatform, *orders: LineOrder) -> list[str]:
    platform = PhonePlatform(running.control.webhook_url, [SECRET], timeout_seconds=5)
    answers = []
    for each in orders:
        try:
            answers.append((await platform.tell(each.wish_id, each.to_bytes(), now=datetime.now(UTC))).text)
        except PermanentFailure as failure:
            answers.append(str(failure))
    await platform.close()
    return answers


async def test_what_is_signed_is_done_once_and_in_order(running: RunningPlatform) -> None:
    cut, restored = order("cut", 1, "+331", "+332"), order("normal", 2, "+331", "+332")
    release, late = order("number_released", 3, "+332"), order("cut", 2, "+331")
    answers = await tell(running, cut, cut, restored, release, late)
    assert answers[:4] == ["fait", "déjà fait", "fait", "fait"]
    assert "trop tard" in answers[4]
    lines = await running.control.lines(COMPANY)
    assert lines is not None
    assert (lines.state, lines.numbers, lines.released) == ("normal", ("+331",), ("+332",))


async def test_nothing_is_done_for_whoever_did_not_sign_it_now(running: RunningPlatform) -> None:
    body, id_, now = order("cut", 1).to_bytes(), "wish_1", datetime.now(UTC)
    signer, stranger = Webhook(SECRET), Webhook("whsec_" + "QUJD" * 8)

    def signed(at: datetime, by: Webhook = signer, of: bytes = body) -> dict[str, str]:
        return {
            "webhook-id": id_,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": by.sign(id_, at, of.decode()),
        }

    bad = {
        "unsigned": {},
        "somebody else's": signed(now, stranger),
        "of other bytes": signed(now, of=body + b" "),
        "under another id": signed(now) | {"webhook-id": "wish_2"},
        "at another time": signed(now) | {"webhook-timestamp": str(int(now.timestamp()) - 1)},
        "too old": signed(now - timedelta(minutes=10)),
        "too new": signed(now + timedelta(minutes=10)),
        "not a signature": signed(now) | {"webhook-signature": "hello"},
        "of an unknown version": signed(now) | {"webhook-signature": signed(now)["webhook-signature"][1:]},
    }
    async with httpx.AsyncClient() as http:
        for name, headers in bad.items():
            answer = await http.post(running.control.webhook_url, content=body, headers=headers)
            assert answer.status_code == 401, name
        good = await http.post(running.control.webhook_url, content=body, headers=signed(now))
    assert good.json()["is_done"] is True
    received = await running.control.received()
    assert [r.trouble is None for r in received] == [False] * len(bad) + [True]


async def test_the_page_shows_lines_and_webhooks_and_its_buttons_work(running: RunningPlatform) -> None:
    await tell(running, order("cut", 1, "+33970700001"))
    async with httpx.AsyncClient(base_url=running.control.base_url, follow_redirects=True) as browser:
        page = (await browser.get("/")).text
        for shown in (str(COMPANY), "coupée", "+33970700001", "15, 112", "line.cut", "bonne"):
            assert shown in page
        await browser.post(running.control.webhook_url, content=b"<script>alert(1)</script>")
        await browser.post("/trouble", data={"manner": "down"})
        page = (await browser.get("/")).text
        assert "tomber en panne" in page
        assert "refusée" in page
        assert "<script" not in page
        assert "Tout est normal" in (await browser.post("/behave")).text
        assert (await browser.post("/trouble", data={"manner": "?"})).status_code == 404


async def test_the_books_survive_a_restart(tmp_path: Path) -> None:
    async with running_platform(tmp_path, SECRET) as running:
        await tell(running, done := order("restricted", 1))
    async with running_platform(tmp_path, SECRET) as running:
        assert await tell(running, done) == ["déjà fait"]
        lines = await running.control.lines(COMPANY)
    assert lines is not None
    assert lines.state == "restricted"


def test_without_a_secret_it_does_not_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "libs.devstack.phone_platform", "--port", "1", "--data", str(tmp_path)]
    root = Path(__file__).parents[3]
    ended = subprocess.run(command, check=False, env={}, cwd=root, capture_output=True, text=True)
    assert ended.returncode != 0
    assert "PLATFORM_WEBHOOK_SECRET is empty" in ended.stderr


@pytest.mark.parametrize("given", ["", "https://platform.example/hooks"])
def test_relance_up_starts_it_unless_the_environment_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("PLATFORM_WEBHOOK_URL", given)
    with_folder = DataFolder(tmp_path)
    with_folder.acquire(print)
    try:
        plan = make_plan(Wishes(tmp_path), with_folder)
    finally:
        with_folder.release()
    assert plan.starts("platform") is not bool(given)
    url = given or f"http://127.0.0.1:{plan.ports.get('platform')}/webhooks/relance"
    assert plan.environment["PLATFORM_WEBHOOK_URL"] == url
    secret = plan.environment["PLATFORM_WEBHOOK_SECRET"]
    assert Webhook(secret).sign("id", datetime.now(UTC), json.dumps({}))
    assert len(plan.environment["PLATFORM_API_KEY"]) >= 16
    assert plan.environment["BILLING_PUBLIC_URL"] == plan.url_of("billing")
