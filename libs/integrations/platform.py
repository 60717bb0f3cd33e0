"""The phone platform: told by webhooks of the Standard Webhooks specification, which it confirms.

Out: `{"type", "timestamp", "data"}`, signed. In: 2xx with `{"id": <webhook-id>, "is_done": true}` confirms;
`"is_done": false` says no, `answer` why; any other 2xx only means that it was taken. The same webhook-id is
the same wish, however often it comes; of one company, one of a lower `order` than the last is too late.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx
from standardwebhooks import Webhook

from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome

LARGEST_ANSWER_BYTES = 64 * 1024
LONGEST_SHOWN = 200

# Refusals that pass: the specification's senders come again after these and no other 4xx.
_PASSING = frozenset({408, 409, 410, 425, 429})

_TYPES = {
    "normal": "line.restored",
    "restricted": "line.restricted",
    "cut": "line.cut",
    "number_released": "number.released",
}


@dataclass(frozen=True, slots=True)
class LineOrder:
    """What the platform shall do with a company's numbers; `order` grows with each wish of a company."""

    wish_id: UUID
    company_id: UUID
    wanted: str
    order: int
    since_at: datetime
    why: str
    episode: int | None
    numbers: Sequence[str]
    reachable: Sequence[str]

    def to_bytes(self) -> bytes:
        """The webhook's body; the same bytes at every try, so that they are written once and kept."""
        data = {
            "id": webhook_id(self.wish_id),
            "company_id": str(self.company_id),
            "wanted": self.wanted,
            "order": self.order,
            "episode": self.episode,
            "why": self.why,
            "numbers": list(self.numbers),
            "reachable": list(self.reachable),
        }
        body = {"type": _TYPES[self.wanted], "timestamp": self.since_at.isoformat(), "data": data}
        return json.dumps(body, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class PlatformAnswer:
    """Not confirmed: taken, but whether it was done is still to be asked."""

    is_confirmed: bool
    text: str


def webhook_id(wish_id: UUID) -> str:
    return f"wish_{wish_id.hex}"


class PhonePlatform:
    """Raises TemporaryFailure when it cannot now, UnknownOutcome when the answer was lost, PermanentFailure
    when it says no."""

    def __init__(self, url: str, secrets: Sequence[str], *, timeout_seconds: float) -> None:
        self._url = url
        self._signers = [Webhook(secret) for secret in secrets]
        self._timeout_seconds = timeout_seconds
        self._http = httpx.AsyncClient(timeout=timeout_seconds, follow_redirects=False)

    async def tell(self, wish_id: UUID, body: bytes, *, now: datetime) -> PlatformAnswer:
        """Several signatures while a secret is being rolled; the timestamp is of this try."""
        id_ = webhook_id(wish_id)
        signatures = [signer.sign(id_, now.astimezone(UTC), body.decode()) for signer in self._signers]
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Relance",
            "webhook-id": id_,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._post(id_, body, headers)
        except httpx.ConnectError as error:
            raise TemporaryFailure(f"no connection to the phone platform: {error}") from error
        except (httpx.HTTPError, TimeoutError) as error:
            what = str(error) or type(error).__name__
            raise UnknownOutcome(f"no answer from the phone platform: {what}") from error

    async def _post(self, id_: str, body: bytes, headers: Mapping[str, str]) -> PlatformAnswer:
        async with self._http.stream("POST", self._url, content=body, headers=headers) as response:
            answer = bytearray()
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > LARGEST_ANSWER_BYTES:
                    break
            return read_answer(id_, response.status_code, response.headers, bytes(answer))

    async def close(self) -> None:
        await self._http.aclose()


def read_answer(id_: str, status: int, headers: Mapping[str, str], body: bytes) -> PlatformAnswer:
    """What an answer means. Raises as PhonePlatform does."""
    shown = f"{status} {body[:LONGEST_SHOWN].decode(errors='replace')}".strip()
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait_seconds = _retry_after(headers.get("retry-after"))
        raise TemporaryFailure(
            f"the phone platform asks to come again: {shown}", retry_after_seconds=wait_seconds
        )
    if status >= HTTPStatus.BAD_REQUEST:
        raise PermanentFailure(f"the phone platform refuses: {shown}")
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        raise TemporaryFailure(f"the phone platform sends us elsewhere, see PLATFORM_WEBHOOK_URL: {shown}")
    said = _json_object(body)
    if said.get("id") != id_ or not isinstance(said.get("is_done"), bool):
        return PlatformAnswer(is_confirmed=False, text=shown)
    text = str(said.get("answer") or "")[:LONGEST_SHOWN]
    if not said["is_done"]:
        raise PermanentFailure(f"the phone platform says no: {text}")
    return PlatformAnswer(is_confirmed=True, text=text)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _retry_after(value: str | None) -> float | None:
    """Seconds, or a moment; whatever else is written there is no wish."""
    if not value:
        return None
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
