"""A webhook endpoint on loopback: keeps what arrives, answers as told."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_HANG_SECONDS = 30


@dataclass(frozen=True)
class Arrived:
    signature: str
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


Answer = Callable[[Arrived], int]
"""The HTTP status for what arrived; 0 never answers."""


class Receiver:
    """Listens on `port`; `answer` may be replaced at any time."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/webhooks/stripe"
        self.arrived: list[Arrived] = []
        self.answer: Answer = lambda _: 200
        self.most_at_once = 0
        self.seconds_to_answer = 0.0
        self._port = port
        self._at_once = 0
        self._server: asyncio.Server | None = None

    def events(self, event_type: str | None = None) -> list[dict[str, Any]]:
        events = [arrived.event for arrived in self.arrived]
        return [event for event in events if event_type in (None, event["type"])]

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._take_one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _take_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        arrived = Arrived(fields["stripe-signature"], await reader.readexactly(int(fields["content-length"])))
        self.arrived.append(arrived)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            status = self.answer(arrived)
            await asyncio.sleep(self.seconds_to_answer if status else _HANG_SECONDS)
        finally:
            self._at_once -= 1
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        await writer.drain()
