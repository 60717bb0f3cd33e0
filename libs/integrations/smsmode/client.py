"""smsmode's REST v1. It refuses no duplicate: our own ledger is the only guard against one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpx
from aiolimiter import AsyncLimiter

from libs.common.errors import TemporaryFailure, UnknownOutcome
from libs.integrations.breaker import Breaker
from libs.integrations.sms import Sms, SmsAccepted, SmsReport
from libs.integrations.smsmode.answers import (
    RestWantedError,
    json_object,
    raise_alarm,
    read_accepted,
    retry_after,
)
from libs.integrations.smsmode.callbacks import read_report

API_BASE = "https://rest.smsmode.com"
MESSAGES = "/sms/v1/messages"
LARGEST_PAGE = 100
MOST_PAGES = 20
LARGEST_ANSWER_BYTES = 1024 * 1024
LONGEST_BURST_SECONDS = 0.2
LONGEST_QUEUE_SECONDS = 1.0
REST_SECONDS = 5.0
# Servers hang up on who rests; a request on such a connection would be an unknown outcome.
KEEPALIVE_SECONDS = 2.0


class Smsmode:
    """An SmsProvider. All callers share one pace; after 429 or 503 nothing begins for as long as it wants."""

    def __init__(
        self,
        key: str,
        *,
        api_base: str = API_BASE,
        timeout_seconds: float,
        requests_per_second: float,
        status_url: str | None = None,
        reply_url: str | None = None,
    ) -> None:
        self._key_end = key[-4:]
        self._host = httpx.URL(api_base).host
        self._timeout_seconds = timeout_seconds
        self._callbacks = {
            name: url
            for name, url in (("callbackUrlStatus", status_url), ("callbackUrlMo", reply_url))
            if url is not None
        }
        self._http = httpx.AsyncClient(
            base_url=api_base.rstrip("/"),
            headers={"X-Api-Key": key, "Accept": "application/json"},
            timeout=timeout_seconds,
            follow_redirects=False,
            limits=httpx.Limits(keepalive_expiry=KEEPALIVE_SECONDS),
        )
        self._breaker = Breaker(failures=5, rest_seconds=REST_SECONDS)
        burst = max(1.0, requests_per_second * LONGEST_BURST_SECONDS)
        self._limiter = AsyncLimiter(burst, burst / requests_per_second)
        self._longest_queue = math.ceil(requests_per_second * LONGEST_QUEUE_SECONDS)
        self._queue = 0

    def __repr__(self) -> str:
        """For logs: without the key."""
        return f"smsmode at {self._host} (key ••••{self._key_end})"

    def room(self, wanted: int) -> int:
        wanted = min(wanted, self._longest_queue - self._queue)
        return self._breaker.room(wanted) if wanted > 0 else 0

    def give_back_room(self) -> None:
        self._breaker.give_back()

    async def send(self, sms: Sms) -> SmsAccepted:
        body: dict[str, Any] = {
            # Bare digits: what smsmode takes everywhere.
            "recipient": {"to": sms.recipient.lstrip("+")},
            "body": {"text": sms.text, **({"stop": True} if sms.is_stop_wanted else {})},
            "from": sms.sender,
            "refClient": sms.reference,
            **self._callbacks,
        }
        await self._wait_for_turn()
        began_at = self._breaker.now()
        try:
            accepted = await self._post(body)
        except RestWantedError as wish:
            self._breaker.open_for(wish.retry_after_seconds or REST_SECONDS)
            raise
        except (TemporaryFailure, UnknownOutcome):
            self._breaker.note_failure(began_at)
            raise
        self._breaker.note_success(began_at)
        return accepted

    async def _wait_for_turn(self) -> None:
        self._queue += 1
        try:
            await self._limiter.acquire()
        finally:
            self._queue -= 1

    async def _post(self, body: dict[str, Any]) -> SmsAccepted:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                async with self._http.stream("POST", MESSAGES, json=body) as response:
                    content = await _read(response)
                    return read_accepted(response.status_code, response.headers, content)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise TemporaryFailure(f"no connection to {self._host}: {_text(error)}") from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise UnknownOutcome(f"no answer from {self._host}: {_text(error)}") from error
        except asyncio.CancelledError as cancelled:
            raise UnknownOutcome(f"the request to {self._host} was broken off") from cancelled

    async def find(self, reference: str, *, since: datetime) -> SmsReport | None:
        """Looks through the list, which is newest first, back to `since`."""
        for page in range(1, MOST_PAGES + 1):
            items = await self._list(page)
            for item in items:
                if item.get("refClient") == reference:
                    return read_report(item)
            if len(items) < LARGEST_PAGE or all(_is_before(item, since) for item in items):
                return None
        raise TemporaryFailure(f"{self._host} lists too much since {since.isoformat()} to look through")

    async def _list(self, page: int) -> list[dict[str, Any]]:
        await self._limiter.acquire()
        params = {"page": page, "pageSize": LARGEST_PAGE}
        try:
            async with asyncio.timeout(self._timeout_seconds):
                async with self._http.stream("GET", MESSAGES, params=params) as response:
                    content = await _read(response)
        except (httpx.HTTPError, TimeoutError) as error:
            raise TemporaryFailure(f"{self._host} does not answer a look-up: {_text(error)}") from error
        if response.status_code != HTTPStatus.OK:
            raise self._look_up_failure(response.status_code, response.headers)
        items = json_object(content).get("items")
        if not isinstance(items, list):
            raise TemporaryFailure(f"{self._host} answers a look-up with nonsense")
        return [item for item in items if isinstance(item, dict)]

    def _look_up_failure(self, status: int, headers: Mapping[str, str]) -> TemporaryFailure:
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise_alarm("authentication", f"{status} to a look-up")
        return TemporaryFailure(
            f"{self._host} answers a look-up with {status}",
            retry_after_seconds=retry_after(headers.get("retry-after")),
        )

    async def close(self) -> None:
        await self._http.aclose()


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > LARGEST_ANSWER_BYTES:
            break
    return bytes(content)


def _is_before(item: Mapping[str, Any], since: datetime) -> bool:
    """A row without a readable moment is not called old: it is looked past."""
    try:
        moment = datetime.fromisoformat(str(item.get("acceptedAt") or item.get("sentDate")))
    except ValueError:
        return False
    return moment.tzinfo is not None and moment < since


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")[:300]
