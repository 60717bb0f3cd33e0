"""The stand-ins for Slack and TinyURL: they take what the real ones take, have bad days, keep their books."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.devstack.ports import free_port
from libs.devstack.slack_channel import app as slack_channel
from libs.devstack.stack.folder import DataFolder
from libs.devstack.stack.plan import SLACK_PATH, Wishes, make_plan
from libs.devstack.stand_ins.control import Control
from libs.devstack.stand_ins.pages import BUTTONS
from libs.devstack.stand_ins.serving import running
from libs.devstack.tinyurl_shortener import app as tinyurl_shortener


def client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=10)


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


async def test_slack_takes_a_message_a_second_and_says_what_is_wrong_in_its_words(tmp_path: Path) -> None:
    async with running("slack_channel", tmp_path, port=free_port()) as (_, url), client(url) as http:
        for body, word in {
            "{": "invalid_payload",
            "[]": "invalid_payload",
            '{"blocks": []}': "no_text",
            '{"text": "a", "blocks": [{"type": "section"}]}': "invalid_payload",
        }.items():
            answer = await http.post(slack_channel.PATH, content=body)
            assert (answer.status_code, answer.text) == (400, word)
        for sections, word in {
            ("x" * 3001,): "invalid_blocks",
            ("x",) * 51: "invalid_blocks",
            ("x" * 3000,) * 5: "msg_blocks_too_long",
        }.items():
            answer = await http.post(
                slack_channel.PATH, json={"text": "a", "blocks": [section(each) for each in sections]}
            )
            assert (answer.status_code, answer.text) == (400, word)
        elsewhere = await http.post("/services/T/B/other", json={"text": "a"})
        assert (elsewhere.status_code, elsewhere.text) == (404, "no_service")
        good = await http.post(slack_channel.PATH, json={"text": "a", "blocks": [section("<b>&amp;")]})
        assert (good.status_code, good.text) == (200, "ok")
        soon = await http.post(slack_channel.PATH, json={"text": "b"})
        assert (soon.status_code, soon.headers["retry-after"]) == (429, "1")
        assert "&lt;b&gt;&amp;amp;" in (await http.get("/")).text
    async with (  # what it knew, it knows again
        running("slack_channel", tmp_path, port=free_port()) as (_, url),
        Control(url, slack_channel.Books) as control,
    ):
        assert [each.sections for each in (await control.books()).posted] == [("<b>&amp;",)]


async def test_tinyurl_makes_links_that_lead_where_they_should(tmp_path: Path) -> None:
    async with running("tinyurl_shortener", tmp_path, port=free_port()) as (_, url), client(url) as http:
        token = {"Authorization": "Bearer x"}
        assert (await http.post("/create", json={"url": "https://x.fr"})).status_code == 401
        for wrong in ('{"url": "x"}', '{"url": 1}', "{}", "[]", "{"):
            assert (await http.post("/create", content=wrong, headers=token)).status_code == 422
        made = (await http.post("/create", json={"url": "https://x.fr/a"}, headers=token)).json()
        assert (made["code"], made["errors"]) == (0, [])
        followed = await http.get(made["data"]["tiny_url"])
        assert (followed.status_code, followed.headers["location"]) == (301, "https://x.fr/a")
        assert (await http.get("/nothing")).status_code == 404
        assert "https://x.fr/a" in (await http.get("/")).text
    async with (
        running("tinyurl_shortener", tmp_path, port=free_port()) as (_, url),
        Control(url, tinyurl_shortener.Books) as control,
    ):
        assert [link.url for link in (await control.books()).links] == ["https://x.fr/a"]


@pytest.mark.parametrize("name", ["slack_channel", "tinyurl_shortener"])
async def test_bad_days_are_ordered_by_buttons_and_forgotten(tmp_path: Path, name: str) -> None:
    async with running(name, tmp_path, port=free_port()) as (_, url), client(url) as http:
        for manner, (label, _) in BUTTONS.items():
            assert (await http.post("/trouble", data={"manner": manner})).status_code == 303
            assert html.escape(label.lower()) in (await http.get("/")).text.lower()
        assert (await http.post("/trouble", data={"manner": "wild"})).status_code == 404
        assert len((await http.get("/_sim/trouble")).json()) == len(BUTTONS)
        assert (await http.post("/behave")).status_code == 303
        assert (await http.get("/_sim/trouble")).json() == []
        page = await http.get("/")
        assert "Tout est normal" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]


def test_relance_up_posts_where_the_channel_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLACK_WEBHOOK_URL", "TINYURL_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    folder = DataFolder(tmp_path / "data")
    folder.acquire(lambda _: None)
    try:
        plan = make_plan(Wishes(tmp_path / "data", port_base=free_port()), folder)
    finally:
        folder.release()
    assert SLACK_PATH == slack_channel.PATH
    assert plan.environment["SLACK_WEBHOOK_URL"] == plan.url_of("slack") + slack_channel.PATH
    assert plan.environment["TINYURL_API_BASE"] == plan.url_of("tinyurl")
