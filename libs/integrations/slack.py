"""Slack, as far as an incoming webhook goes: one message to one channel, nothing comes back but « ok ».

Out: `{"text", "blocks"}`; `text` is what a notification shows. In: 200 with the body `ok`; a refusal is a
word of plain text. About a message a second and channel is taken, else 429 with Retry-After. The URL is the
secret: no message of an error holds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx

from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome

LONGEST_SECTION = 3000
MOST_BLOCKS = 50
LONGEST_MESSAGE = 12_000
"""Characters of all blocks together: somewhat above it Slack says `msg_blocks_too_long`."""
LONGEST_ANSWER_BYTES = 2000
LONGEST_SHOWN = 100

_OK = "ok"


class SlackRefused(TemporaryFailure):
    """Not this message but us: the webhook was revoked, the channel archived. Only a person can mend it."""


class Slack:
    """Raises TemporaryFailure when it cannot now (SlackRefused where a person must change something first),
    UnknownOutcome when the answer was lost, PermanentFailure when it will never take this message."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._http = httpx.AsyncClient(timeout=timeout_seconds, follow_redirects=False)

    async def post(self, text: str, sections: Sequence[str]) -> str:
        """Answers with what Slack said. `text` and `sections` are mrkdwn: escape what people wrote."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._post(message(text, sections))
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.InvalidURL,
            httpx.UnsupportedProtocol,
        ) as error:
            raise TemporaryFailure(f"no connection to Slack: {self._masked(error)}") from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise UnknownOutcome(f"no answer from Slack: {self._masked(error)}") from None

    async def _post(self, body: Mapping[str, Any]) -> str:
        async with self._http.stream("POST", self._url, json=body) as response:
            answer = bytearray()
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > LONGEST_ANSWER_BYTES:
                    break
        return read_answer(response.status_code, response.headers, bytes(answer))

    def _masked(self, error: BaseException) -> str:
        told = str(error) or type(error).__name__
        for secret in (self._url, self._url.partition("://")[2].partition("/")[2]):
            if secret:
                told = told.replace(secret, "…")
        return told[:LONGEST_SHOWN]

    async def close(self) -> None:
        await self._http.aclose()


def escaped(text: str) -> str:
    """What people wrote, as mrkdwn takes it: no mention, no link of theirs."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def message(text: str, sections: Sequence[str]) -> dict[str, Any]:
    """The webhook's body, within what Slack takes: what is too long is cut, and ends with « … »."""
    blocks, left = [], LONGEST_MESSAGE
    for section in sections[:MOST_BLOCKS]:
        shown = cut(section, min(LONGEST_SECTION, left))
        if not shown:
            break
        left -= len(shown)
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": shown}})
    return {"text": cut(text, LONGEST_SECTION), "blocks": blocks}


def cut(text: str, longest: int) -> str:
    """At most so many characters; what was escaped is not cut in two."""
    if len(text) <= longest:
        return text
    shown = text[: max(0, longest - 1)]
    amp = shown.rfind("&", max(0, len(shown) - 5))
    if amp >= 0 and ";" not in shown[amp:]:
        shown = shown[:amp]
    return shown + "…" if shown else ""


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """What an answer means. Raises as Slack does."""
    said = body.decode(errors="replace").strip()
    shown = f"{status} {said[:LONGEST_SHOWN]}".strip()
    if status == HTTPStatus.OK:
        if said == _OK:
            return shown
        # A proxy's page, a captive portal: somebody answered, but was it Slack?
        raise UnknownOutcome(f"not Slack's answer: {shown}")
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT):
        wait = headers.get("retry-after", "")
        raise TemporaryFailure(
            f"Slack asks to come again: {shown}",
            retry_after_seconds=float(wait) if wait.isascii() and wait.isdecimal() else None,
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TemporaryFailure(f"Slack cannot now: {shown}")
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE) and said not in _OURS:
        raise PermanentFailure(f"Slack does not take this message: {shown}")
    raise SlackRefused(f"Slack refuses us, see SLACK_WEBHOOK_URL: {shown}")


_OURS = frozenset(
    {"no_team", "no_service", "channel_not_found", "channel_is_archived", "invalid_token", "user_not_found"}
)
"""Words about the webhook, not about the message, with whatever status they come."""
