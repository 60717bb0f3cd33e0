"""A mail server that takes everything at once and remembers which Message-IDs came, how often."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.devstack.ports import free_port

_MESSAGE_ID = re.compile(rb"^Message-ID: <([^@>]+)@", re.MULTILINE | re.IGNORECASE)


class SmtpSink:
    """`taken` counts by what stands before the @ of the Message-ID, from the moment of the final dot on."""

    def __init__(self, port: int) -> None:
        self.dsn = f"smtp://127.0.0.1:{port}"
        self.taken: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"220 sink\r\n")
            while line := await reader.readline():
                verb = line[:4].upper().strip()
                if verb == b"DATA":
                    writer.write(b"354 go on\r\n")
                    content = await reader.readuntil(b"\r\n.\r\n")
                    match = _MESSAGE_ID.search(content)
                    self.taken[match[1].decode() if match else "?"] += 1
                writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 Ok\r\n")
                if verb == b"QUIT":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # who was killed in the middle has sent nothing
        finally:
            writer.close()


@asynccontextmanager
async def smtp_sink() -> AsyncIterator[SmtpSink]:
    port = free_port()
    sink = SmtpSink(port)
    server = await asyncio.start_server(sink.serve, "127.0.0.1", port, limit=2**22)
    try:
        yield sink
    finally:
        server.close()
