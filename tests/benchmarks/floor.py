"""The bare floor of the ingress: the same server, the signature check, one append with acks=all.

`python -m tests.benchmarks.floor PORT BOOTSTRAP TOPIC SECRET`
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from aiokafka import AIOKafkaProducer
from stripe import WebhookSignature

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Floor:
    """An ASGI application without a framework."""

    def __init__(self, bootstrap: str, topic: str, secret: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._secret = secret
        self._count = 0
        self._producer: AIOKafkaProducer | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["method"] == "GET":  # is it up?
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        signature = dict(scope["headers"])[b"stripe-signature"].decode()
        WebhookSignature.verify_header(body.decode(), signature, self._secret, 300)
        assert self._producer is not None
        self._count += 1  # keys of their own, as customers have: they spread over the partitions
        await self._producer.send_and_wait(self._topic, body, key=b"cus_%014d" % self._count)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True, linger_ms=0
        )
        await self._producer.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._producer.stop()
        await send({"type": "lifespan.shutdown.complete"})


def main() -> None:
    port, bootstrap, topic, secret = sys.argv[1:]
    uvicorn.run(
        Floor(bootstrap, topic, secret),
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
