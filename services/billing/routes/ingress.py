"""What HTTP starts in billing: Stripe's webhook becomes a Kafka record, bytes unchanged, before the 200.

A plain ASGI application: at thousands of webhooks a second the framework's reading of a request costs more
than the signature check.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from prometheus_client import Counter
from starlette.types import Message, Receive, Scope, Send

from libs.common.clock import Clock
from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure, TemporaryFailure
from libs.common.events.stripe import read_stripe_event
from libs.common.producer import Producer
from libs.common.topics import topic_of
from libs.integrations.stripe import SignatureRefused, verify_signature
from services.billing.records import BY_WEBHOOK, record_of
from services.billing.settings import BillingSettings

log = logging.getLogger("relance.ingress")

RECEIVED = Counter("relance_webhooks_received_total", "Webhooks by what became of them", ["outcome"])
STORED = RECEIVED.labels("stored")

PATH = "/webhooks/stripe"
_OK = b'{"received":true}'


class TooLargeError(Exception):
    """The body is larger than Stripe's largest event."""


class NotOursError(Exception):
    """A signed event that is another account's, or of Stripe's other mode."""


class Ingress:
    """`POST /webhooks/stripe`: 200 once Kafka has it, 400 / 413 when it is not to be believed or read, 503
    when Kafka does not acknowledge (Stripe comes again). What is signed but not ours to act on, of another
    mode or of a connected account, is answered 200 and not stored: a refusal would only come again."""

    def __init__(self, settings: BillingSettings, producer: Producer, clock: Clock) -> None:
        self._secrets = settings.webhook_secrets()
        self._tolerance_seconds = settings.stripe_webhook_tolerance_seconds
        self._max_bytes = settings.stripe_webhook_max_bytes
        self._producer = producer
        self._clock = clock
        self._topic = topic_of("stripe")
        self._is_live = settings.is_live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await _answer(send, 405, _refusal("method_not_allowed", "Stripe sends POST"))
            return
        try:
            headers = dict(scope["headers"])
            body = await self._read(headers, receive)
            envelope = self._believe(body, headers.get(b"stripe-signature"))
            await self._producer.append(self._topic, envelope)
        except NotOursError as error:
            await _answer(send, 200, _refusal("not_ours", str(error)))
        except TooLargeError:
            reason = f"the body is larger than {self._max_bytes} bytes"
            await _answer(send, 413, _refusal("too_large", reason))
        except SignatureRefused as error:
            await _answer(send, 400, _refusal("signature_refused", str(error)))
        except PermanentFailure as error:
            await _answer(send, 400, _refusal("not_an_event", str(error)))
        except TemporaryFailure as error:
            await _answer(send, 503, _refusal("not_stored", str(error)))
        else:
            STORED.inc()
            await _answer(send, 200, _OK)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """At most one message more than allowed is ever held."""
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_bytes:
            raise TooLargeError
        message: Message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body") and len(body) <= self._max_bytes:
            message = await receive()
            body += message.get("body", b"")
        if len(body) > self._max_bytes:
            raise TooLargeError
        return body

    def _believe(self, body: bytes, signature: bytes | None) -> Envelope:
        now = self._clock()
        verify_signature(
            body,
            None if signature is None else signature.decode("latin-1"),
            self._secrets,
            tolerance_seconds=self._tolerance_seconds,
            now=now.timestamp(),
        )
        event = read_stripe_event(body)
        self._check_ours(event)
        return record_of(event, body, source=BY_WEBHOOK, now=now)

    def _check_ours(self, event: dict[str, Any]) -> None:
        if event.get("account"):
            raise NotOursError(f"{event['id']} is of the connected account {event['account']}")
        is_live = event.get("livemode")
        if is_live is not None and self._is_live is not None and is_live != self._is_live:
            modes = ("test", "live")
            raise NotOursError(
                f"{event['id']} is of {modes[is_live]} mode, STRIPE_SK of {modes[self._is_live]}"
            )


def _refusal(code: str, reason: str) -> bytes:
    RECEIVED.labels(code).inc()
    log.warning("webhook refused (%s): %s", code, reason)
    return json.dumps({"error": {"code": code, "message": reason}}).encode()


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
