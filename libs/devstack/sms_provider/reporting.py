"""What it posts to those who asked for it, unsigned, until 2xx: reports of its SMS, and replies to them."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx

from libs.devstack.sms_provider.models import Fate, Report, TakenSms
from libs.devstack.sms_provider.store import SmsStore

# smsmode's own are 30 s to 24 h; here somebody looks on.
RETRY_SECONDS = (0.3, 0.6, 1.2, 2.5, 5.0, 10.0)
ANSWER_SECONDS = 5.0


def shape_of(sms: TakenSms) -> dict[str, Any]:
    """smsmode's one shape of an SMS: its answer, a row of its list, a report."""
    return {
        "messageId": sms.id,
        "acceptedAt": sms.taken_at.isoformat(),
        "sentDate": sms.taken_at.isoformat(),
        "type": "SMS",
        "direction": "MT",
        "from": sms.sender,
        "recipient": {"to": sms.recipient},
        "refClient": sms.reference,
        "channel": {"channelId": "stand-in", "name": "stand-in", "type": "SMS", "flow": "TRANSACTIONAL"},
        "body": {
            "text": sms.text,
            "length": len(sms.text),
            "encoding": sms.encoding,
            "messagePartCount": sms.parts,
            "stop": sms.has_stop,
        },
        "status": {"value": sms.status, "detail": sms.detail},
    }


class Reporter:
    """Every report is on its way beside the API; `close` ends those that still try."""

    def __init__(self, store: SmsStore) -> None:
        self._store = store
        self._http = httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False)
        self._tasks: set[asyncio.Task[None]] = set()
        self._reply_url: str | None = None

    def begin(self, sms: TakenSms, fate: Fate, status_url: object, reply_url: object) -> None:
        self._reply_url = str(reply_url) if reply_url else self._reply_url
        self._spawn(self._report(sms, fate, str(status_url) if status_url else None))

    def reply(self, number: str, text: str) -> bool:
        """Somebody answers. False when nobody ever asked for replies."""
        if self._reply_url is None:
            return False
        said = {
            "messageId": str(uuid4()),
            "direction": "MO",
            "from": number,
            "recipient": {"to": "36180"},
            "body": {"text": text},
            "sentDate": datetime.now(UTC).isoformat(),
        }
        self._spawn(self._post(self._reply_url, said, word=f"MO {text}"))
        return True

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _report(self, sms: TakenSms, fate: Fate, url: str | None) -> None:
        words = [word for word in fate.words for _ in range(fate.times)]
        if fate.is_shuffled:
            random.shuffle(words)
        for word in words:
            await asyncio.sleep(fate.delay_seconds)
            sms = sms.model_copy(update={"status": word, "detail": fate.detail})
            self._store.keep(sms)
            if url is not None:
                await self._post(url, shape_of(sms), word=word)

    async def _post(self, url: str, said: dict[str, Any], *, word: str) -> None:
        for wait_seconds in (0.0, *RETRY_SECONDS):
            await asyncio.sleep(wait_seconds)
            try:
                answer = (await self._http.post(url, json=said)).status_code
            except httpx.HTTPError:
                answer = 0
            self._store.note(
                Report(at=datetime.now(UTC), sms_id=str(said["messageId"]), word=word, answer=answer)
            )
            if HTTPStatus.OK <= answer < HTTPStatus.MULTIPLE_CHOICES:
                return

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()
