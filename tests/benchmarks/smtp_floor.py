"""A fast mail server and the bare floor of sending, each a process of its own.

`python -m tests.benchmarks.smtp_floor sink PORT ANSWER_SECONDS` answers every command at once, and the mail
itself after so many seconds; `… pool PORT CONNECTIONS COUNT FILE` hands it the bytes of FILE so many times
over an aiosmtplib pool and prints how many a second.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import cast

import aiosmtplib
import uvloop

END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One connection. What was taken is forgotten at once."""

    def __init__(self, answer_seconds: float) -> None:
        self._answer_seconds = answer_seconds
        self._seen = b""
        self._is_in_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        if self._is_in_body:
            # The end may be cut in two; nothing follows it, as nobody sends ahead of the answer.
            self._seen = self._seen[-len(END) :] + data
            if self._seen.endswith(END):
                self._seen, self._is_in_body = b"", False
                self._answer_in_time(b"250 2.0.0 Ok: queued as 4D2C1F\r\n")
            return
        self._seen += data
        while b"\r\n" in self._seen:
            line, _, self._seen = self._seen.partition(b"\r\n")
            self._obey(line[:4].upper())

    def _obey(self, verb: bytes) -> None:
        if verb == b"QUIT":
            self._transport.write(b"221 bye\r\n")
            self._transport.close()
        elif verb == b"DATA":
            self._is_in_body = True
            self._transport.write(b"354 go on\r\n")
        else:
            self._transport.write(b"250 2.0.0 Ok\r\n")

    def _answer_in_time(self, answer: bytes) -> None:
        if self._answer_seconds:
            asyncio.get_running_loop().call_later(self._answer_seconds, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def serve(port: int, answer_seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Sink(answer_seconds), "127.0.0.1", port)
    await server.serve_forever()


async def send_over_pool(port: int, connections: int, count: int, content: bytes) -> float:
    """Mails a second."""
    left = iter(range(count))
    clients = [
        aiosmtplib.SMTP(hostname="127.0.0.1", port=port, local_hostname="[127.0.0.1]", start_tls=False)
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.connect() for client in clients))

    async def send(client: aiosmtplib.SMTP) -> None:
        for _ in left:
            await client.sendmail("relance@relance.test", ["c@exemple.fr"], content)

    began = time.perf_counter()
    await asyncio.gather(*(send(client) for client in clients))
    rate = count / (time.perf_counter() - began)
    await asyncio.gather(*(client.quit() for client in clients))
    return rate


def main() -> None:
    match sys.argv[1:]:
        case ["sink", port, answer_seconds]:
            uvloop.run(serve(int(port), float(answer_seconds)))
        case ["pool", port, connections, count, file]:
            content = Path(file).read_bytes()
            print(uvloop.run(send_over_pool(int(port), int(connections), int(count), content)))


if __name__ == "__main__":
    main()
