"""What lies between a service and its servers: it may not be there yet, be cut, or carry no new messages."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from libs.devstack.ports import free_port

FETCH, LIST_OFFSETS = 1, 2
EMPTY_FETCH_SECONDS = 0.1


class Wire:
    """A port that leads to another one, as long as it is laid."""

    def __init__(self, address: str) -> None:
        self.host, _, port = address.partition(",")[0].rpartition(":")
        self._far_port = int(port)
        self.port = free_port()
        self.address = f"{self.host}:{self.port}"
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()

    async def lay(self) -> None:
        self._server = await asyncio.start_server(self._carry, self.host, self.port)

    async def cut(self) -> None:
        """Refuses new connections and ends those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        far_writer: asyncio.StreamWriter | None = None
        try:
            far_reader, far_writer = await asyncio.open_connection(self.host, self._far_port)
            there = asyncio.ensure_future(self._carry_requests(reader, far_writer, writer))
            back = asyncio.ensure_future(self._carry_answers(far_reader, writer))
            try:
                await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._carrying.discard(task)
            for end in (writer, far_writer):
                if end is not None:
                    end.close()

    async def _carry_requests(
        self, reader: asyncio.StreamReader, far_writer: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65_536):
            far_writer.write(data)
            await far_writer.drain()

    async def _carry_answers(self, far_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await far_reader.read(65_536):
            writer.write(data)
            await writer.drain()


class KafkaWire(Wire):
    """To a broker, which is made to name the wire as its own address: clients stay on it.

    While `is_silent`, whoever asks for messages hears that there are none; everything else is answered.
    """

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.is_silent = False
        self.asked: Counter[int] = Counter()
        """Requests by their kind."""
        host = self.host.encode()
        self._real = host + struct.pack(">i", self._far_port)
        self._shown = host + struct.pack(">i", self.port)

    async def _carry_requests(
        self, reader: asyncio.StreamReader, far_writer: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                request = await _read_frame(reader)
                kind, version, number = struct.unpack(">hhi", request[:8])
                self.asked[kind] += 1
                if kind == FETCH and self.is_silent:
                    assert 7 <= version <= 11, "this form of an empty answer"
                    await asyncio.sleep(EMPTY_FETCH_SECONDS)  # as a broker waits for something to come
                    # correlation id; throttle time, error code, session, no topics
                    writer.write(_frame(struct.pack(">iihii", number, 0, 0, 0, 0)))
                else:
                    far_writer.write(_frame(request))
                    await far_writer.drain()

    async def _carry_answers(self, far_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                answer = await _read_frame(far_reader)
                writer.write(_frame(answer.replace(self._real, self._shown)))
                await writer.drain()


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


def _frame(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


@asynccontextmanager
async def laid(wire: Wire) -> AsyncIterator[Wire]:
    await wire.lay()
    try:
        yield wire
    finally:
        await wire.cut()
