"""What HTTP starts in billing: Stripe's webhook becomes a Kafka record, bytes unchanged, before the 200."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import Counter

from libs.common.clock import Clock
from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure, TemporaryFailure
from libs.common.events.stripe import StripeEventReceived
from libs.common.producer import Producer
from libs.common.telemetry import new_traceparent
from libs.common.topics import topic_of
from libs.integrations.stripe import SignatureRefused, verify_signature
from services.billing.settings import BillingSettings

log = logging.getLogger("relance.ingress")

RECEIVED = Counter("relance_webhooks_received_total", "Webhooks by what became of them", ["outcome"])

_OK = b'{"received":true}'


class TooLargeError(Exception):
    """The body is larger than Stripe's largest event."""


class Ingress:
    """`POST /webhooks/stripe`: 200 once Kafka has it, 400 / 413 when it is not to be believed or read, 503
    when Kafka does not acknowledge (Stripe comes again)."""

    def __init__(self, settings: BillingSettings, producer: Producer, clock: Clock) -> None:
        self._secrets = settings.webhook_secrets()
        self._tolerance_seconds = settings.stripe_webhook_tolerance_seconds
        self._max_bytes = settings.stripe_webhook_max_bytes
        self._producer = producer
        self._clock = clock
        self._topic = topic_of("stripe")

    async def receive(self, request: Request) -> Response:
        try:
            body = await self._read(request)
            received = self._believe(body, request.headers.get("stripe-signature"))
            await self._producer.append(self._topic, self._envelope(received))
        except TooLargeError:
            return _refuse(413, "too_large", f"the body is larger than {self._max_bytes} bytes")
        except SignatureRefused as error:
            return _refuse(400, "signature_refused", str(error))
        except PermanentFailure as error:
            return _refuse(400, "not_an_event", str(error))
        except TemporaryFailure as error:
            return _refuse(503, "not_stored", str(error))
        RECEIVED.labels("stored").inc()
        return Response(_OK, media_type="application/json")

    async def _read(self, request: Request) -> bytes:
        """At most one byte more than allowed is ever held."""
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_bytes:
            raise TooLargeError
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_bytes:
                raise TooLargeError
        return bytes(body)

    def _believe(self, body: bytes, signature: str | None) -> StripeEventReceived:
        verify_signature(
            body,
            signature,
            self._secrets,
            tolerance_seconds=self._tolerance_seconds,
            now=self._clock().timestamp(),
        )
        return StripeEventReceived.from_bytes(body)

    def _envelope(self, received: StripeEventReceived) -> Envelope:
        return Envelope(
            event_id=received.event_id,
            type=received.type,
            source="/stripe/webhook",
            key=received.key,
            time=self._clock(),
            data=received.body,
            traceparent=new_traceparent(),
        )


def _refuse(status_code: int, code: str, reason: str) -> JSONResponse:
    RECEIVED.labels(code).inc()
    log.warning("webhook refused, %s (%s): %s", status_code, code, reason)
    return JSONResponse({"error": {"code": code, "message": reason}}, status_code=status_code)


def create_router(settings: BillingSettings, producer: Producer, clock: Clock) -> APIRouter:
    router = APIRouter()
    ingress = Ingress(settings, producer, clock)
    # A plain Starlette route: FastAPI's own reading of parameters costs more than the signature check.
    router.add_route("/webhooks/stripe", ingress.receive, methods=["POST"])
    return router
