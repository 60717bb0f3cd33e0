"""Signed webhooks over kept-alive connections, on plain sockets: the client must not be the limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.builders.stripe_events import body_of, event, invoice, signed


@dataclass(frozen=True)
class Measured:
    """One run: requests a second, and the 50th and 99th percentile of an answer's seconds."""

    rate: float
    p50_seconds: float
    p99_seconds: float


def requests(count: int, secret: str, tag: str) -> list[bytes]:
    """Made beforehand, so that signing them is not measured; ids as long as Stripe's."""
    made = []
    for number in range(count):
        name = f"{tag}{number}"
        thing = invoice(f"in_{name:0>24}", customer=f"cus_{name:0>14}")
        body = body_of(event("invoice.updated", thing, id_=f"evt_{name:0>24}"))
        head = (
            f"POST /webhooks/stripe HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            f"Stripe-Signature: {signed(body, secret)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


async def send_all(port: int, made: list[bytes], *, connections: int) -> Measured:
    """Raises AssertionError unless every answer is a 200."""
    queue, seconds = iter(made), list[float]()
    started = time.perf_counter()
    await asyncio.gather(*(_send(port, queue, seconds) for _ in range(connections)))
    rate = len(made) / (time.perf_counter() - started)
    seconds.sort()
    return Measured(rate, seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.99)])


async def _send(port: int, queue: Iterator[bytes], seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in queue:
        begun = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head[:200]
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        seconds.append(time.perf_counter() - begun)
    writer.close()
    await writer.wait_closed()
