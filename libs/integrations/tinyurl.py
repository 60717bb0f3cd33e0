"""TinyURL: one door, `POST /create`, that makes a short link of a long one.

Out: `{"url", "domain"}` under a Bearer token. In: 200 or 201 with `code` 0 and `data.tiny_url`; anything else
is trouble. A link that was made although its answer was lost does no harm: whoever asks again gets another.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from libs.common.errors import PermanentFailure, TemporaryFailure
from libs.integrations.breaker import Breaker

API_BASE = "https://api.tinyurl.com"
LARGEST_ANSWER_BYTES = 64 * 1024
LONGEST_SHOWN = 100
LONGEST_SHORT_URL = 100


class TinyUrl:
    """Raises TemporaryFailure when it cannot now, PermanentFailure when it never will shorten this address.

    Ask `has_room` before: while it fails again and again, it is left alone but for one try now and then.
    """

    def __init__(
        self, api_base: str, token: str, *, domain: str | None, timeout_seconds: float, breaker: Breaker
    ) -> None:
        self._domain = domain
        self._timeout_seconds = timeout_seconds
        self._breaker = breaker
        self._http = httpx.AsyncClient(
            base_url=api_base,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=timeout_seconds,
            follow_redirects=False,
        )

    def has_room(self) -> bool:
        return self._breaker.room(1) > 0

    def give_back(self) -> None:
        """There was nothing to shorten after all."""
        self._breaker.give_back()

    async def shorten(self, url: str) -> str:
        began_at = self._breaker.now()
        try:
            short_url = await self._ask(url)
        except TemporaryFailure:
            self._breaker.note_failure(began_at)
            raise
        except PermanentFailure:
            self._breaker.note_success(began_at)  # it works, and says no
            raise
        self._breaker.note_success(began_at)
        return short_url

    async def _ask(self, url: str) -> str:
        body = {"url": url, **({"domain": self._domain} if self._domain else {})}
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._http.stream("POST", "/create", json=body) as response,
            ):
                answer = bytearray()
                async for chunk in response.aiter_bytes():
                    answer += chunk
                    if len(answer) > LARGEST_ANSWER_BYTES:
                        break
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            what = str(error) or type(error).__name__
            raise TemporaryFailure(f"no answer from TinyURL: {what}") from error
        return read_answer(response.status_code, response.headers, bytes(answer))

    async def close(self) -> None:
        await self._http.aclose()


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """The short link. Raises as TinyUrl does."""
    said = _json_object(body)
    short_url = _short_url_in(said)
    if status in (HTTPStatus.OK, HTTPStatus.CREATED) and said.get("code") == 0 and short_url:
        return short_url
    shown = f"{status} {_errors_in(said) or body[:LONGEST_SHOWN].decode(errors='replace')}"[:LONGEST_SHOWN]
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        raise PermanentFailure(f"TinyURL does not shorten this address: {shown}")
    # A wrong token too: the messages leave all the same, and it may be set right.
    wait = headers.get("retry-after", "")
    raise TemporaryFailure(
        f"TinyURL cannot now: {shown}",
        retry_after_seconds=float(wait) if wait.isascii() and wait.isdecimal() else None,
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _short_url_in(said: Mapping[str, Any]) -> str | None:
    """Only what a browser may open, and what is no longer than a short link has any reason to be."""
    data = said.get("data")
    short_url = data.get("tiny_url") if isinstance(data, dict) else None
    if not isinstance(short_url, str) or not short_url.isascii() or not short_url.isprintable():
        return None
    try:
        parts = urlsplit(short_url)
    except ValueError:
        return None
    is_link = parts.scheme in ("https", "http") and parts.hostname and " " not in short_url
    return short_url if is_link and len(short_url) <= LONGEST_SHORT_URL else None


def _errors_in(said: Mapping[str, Any]) -> str:
    errors = said.get("errors")
    return ", ".join(map(str, errors)) if isinstance(errors, list) else ""
