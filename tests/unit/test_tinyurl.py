"""TinyURL: what its answers mean."""

from __future__ import annotations

import json

import pytest

from libs.common.errors import PermanentFailure, RelanceError, TemporaryFailure
from libs.integrations.tinyurl import read_answer

SHORT = "https://tinyurl.com/abc"


def answer(**changes: object) -> bytes:
    body = {"data": {"tiny_url": SHORT, "analytics": [{"enabled": True}]}, "code": 0, "errors": [], **changes}
    return json.dumps(body).encode()


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("analytics", [{}, [], [{"enabled": True, "public": False}], None])
def test_a_short_link_is_read_whatever_stands_beside_it(status: int, analytics: object) -> None:
    body = answer(data={"tiny_url": SHORT, "analytics": analytics, "url": "https://x.fr"})
    assert read_answer(status, {}, body) == SHORT


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, answer(code=4, data=[], errors=["Method not allowed"]), TemporaryFailure),
        (200, answer(data=[]), TemporaryFailure),
        (200, answer(data={"tiny_url": "javascript:alert(1)"}), TemporaryFailure),
        (200, answer(data={"tiny_url": "https://tinyurl.com/a b"}), TemporaryFailure),
        (200, answer(data={"tiny_url": "https://tinyurl.com/\r\nX: y"}), TemporaryFailure),
        (200, answer(data={"tiny_url": "https://tinyurl.com/" + "a" * 200}), TemporaryFailure),
        (200, answer(data={"tiny_url": "https://[::1/"}), TemporaryFailure),
        (200, answer(data={"tiny_url": 7}), TemporaryFailure),
        (200, b"<h1>It works!</h1>", TemporaryFailure),
        (200, b"[" * 100_000, TemporaryFailure),
        (200, b"", TemporaryFailure),
        (401, answer(code=1, data=[]), TemporaryFailure),
        (429, b"", TemporaryFailure),
        (500, b"", TemporaryFailure),
        (302, b"", TemporaryFailure),
        (400, b"", PermanentFailure),
        (422, answer(code=5, data=[], errors=["The url must be a valid URL."]), PermanentFailure),
    ],
)
def test_everything_else_is_trouble(status: int, body: bytes, expected: type[RelanceError]) -> None:
    with pytest.raises(expected):
        read_answer(status, {}, body)


def test_its_wish_to_wait_is_read() -> None:
    with pytest.raises(TemporaryFailure) as raised:
        read_answer(429, {"retry-after": "30"}, b"")
    assert raised.value.retry_after_seconds == 30
