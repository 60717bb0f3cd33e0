"""Slack: what its answers mean, what it takes, and that its URL is told to nobody."""

from __future__ import annotations

import pytest

from libs.common.errors import PermanentFailure, RelanceError, TemporaryFailure, UnknownOutcome
from libs.integrations.slack import (
    LONGEST_MESSAGE,
    LONGEST_SECTION,
    MOST_BLOCKS,
    Slack,
    SlackRefused,
    cut,
    escaped,
    message,
    read_answer,
)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, "invalid_payload", PermanentFailure),
        (400, "invalid_blocks", PermanentFailure),
        (413, "too_large", PermanentFailure),
        (400, "invalid_token", SlackRefused),
        (403, "action_prohibited", SlackRefused),
        (404, "no_service", SlackRefused),
        (404, "channel_not_found", SlackRefused),
        (410, "channel_is_archived", SlackRefused),
        (302, "", SlackRefused),
        (429, "rate_limited", TemporaryFailure),
        (500, "rollup_error", TemporaryFailure),
        (503, "", TemporaryFailure),
        (200, "<h1>It works!</h1>", UnknownOutcome),
        (200, "", UnknownOutcome),
    ],
)
def test_each_answer_means_one_thing(status: int, body: str, expected: type[RelanceError]) -> None:
    with pytest.raises(expected) as raised:
        read_answer(status, {}, body.encode())
    assert raised.type is expected


def test_ok_is_ok() -> None:
    assert read_answer(200, {}, b"ok\n") == "200 ok"


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("", None), ("soon", None), ("-1", None), ("²", None)]
)
def test_its_wish_to_wait_is_read_where_it_is_one(header: str, seconds: float | None) -> None:
    with pytest.raises(TemporaryFailure) as raised:
        read_answer(429, {"retry-after": header}, b"")
    assert raised.value.retry_after_seconds == seconds


def test_what_people_wrote_mentions_nobody_and_is_never_cut_within_a_letter() -> None:
    assert escaped("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"
    long = escaped("&" * 100)
    for longest in range(1, 40):
        shown = cut(long, longest)
        assert len(shown) <= longest
        assert shown.rstrip("…").replace("&amp;", "") == ""


def test_however_much_there_is_it_fits() -> None:
    body = message("x" * 10_000, ["é" * 5000] * 100)
    texts = [block["text"]["text"] for block in body["blocks"]]
    assert len(texts) <= MOST_BLOCKS
    assert sum(map(len, texts)) <= LONGEST_MESSAGE
    assert all(0 < len(text) <= LONGEST_SECTION for text in texts)
    assert len(message("x", ["a"] * 100)["blocks"]) == MOST_BLOCKS


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/services/T1/B1/SECRET",
        "http://[::1/services/T1/B1/SECRET",
        "nonsense://x/services/T1/B1/SECRET",
        "https://no-such-host.invalid/services/T1/B1/SECRET",
    ],
)
async def test_no_error_tells_the_url(url: str) -> None:
    slack = Slack(url, timeout_seconds=2)
    with pytest.raises(TemporaryFailure) as raised:
        await slack.post("x", ["x"])
    await slack.close()
    assert "SECRET" not in str(raised.value)
    assert raised.value.__suppress_context__
