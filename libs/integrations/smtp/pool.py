"""A pool of reused connections to one mail server."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque

from libs.common.errors import RelanceError, TemporaryFailure
from libs.integrations.smtp.address import ascii_address
from libs.integrations.smtp.answers import SmtpAccepted
from libs.integrations.smtp.connection import Connection
from libs.integrations.smtp.dsn import MailerDsn

GOODBYE_SECONDS = 2.0


class Smtp:
    """At most `size` mails at a time to one server, each on a connection of its own while it lasts.

    `timeout_seconds` bounds each step (connect, each answer); `answer_seconds` the wait after the final dot,
    where an impatient client makes unknowns: it defaults to `timeout_seconds`. A connection is given up after
    `mails_per_connection` mails, or when it rested for `idle_seconds`.
    """

    def __init__(
        self,
        dsn: MailerDsn | str,
        *,
        size: int,
        timeout_seconds: float,
        answer_seconds: float | None = None,
        mails_per_connection: int = 100,
        idle_seconds: float = 60.0,
    ) -> None:
        self._dsn = MailerDsn.parse(dsn) if isinstance(dsn, str) else dsn
        self._size = size
        self._timeout_seconds = timeout_seconds
        self._answer_seconds = answer_seconds if answer_seconds is not None else timeout_seconds
        self._mails_per_connection = mails_per_connection
        self._idle_seconds = idle_seconds
        self._tls = _tls_context(verify_peer=self._dsn.verify_peer)
        self._slots = asyncio.Semaphore(size)
        self._in_use = 0
        self._idle: deque[Connection] = deque()
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def free(self) -> int:
        """How many mails could be sent now without waiting for a connection."""
        return self._size - self._in_use

    async def send(self, *, sender: str, recipient: str, content: bytes) -> SmtpAccepted:
        """Hands one mail (RFC 5322 bytes) to the server; waits for a free connection first.

        Raises TemporaryFailure (surely not taken, may work later), PermanentFailure (this mail or recipient
        will never be taken), UnknownOutcome (lost, timed out or cancelled when the server may have taken it).
        """
        envelope_sender, envelope_recipient = ascii_address(sender), ascii_address(recipient)
        async with self._slots:
            self._in_use += 1
            try:
                return await self._send(envelope_sender, envelope_recipient, content)
            finally:
                self._in_use -= 1

    async def _send(self, sender: str, recipient: str, content: bytes) -> SmtpAccepted:
        if (reused := self._take_idle()) is not None:
            try:
                return await self._send_on(reused, sender, recipient, content)
            except TemporaryFailure:
                # Servers hang up on who rests. Nothing of the mail was taken: replaced once, silently.
                if not reused.is_stale:
                    raise
        return await self._send_on(await self._connect(), sender, recipient, content)

    async def _send_on(
        self, connection: Connection, sender: str, recipient: str, content: bytes
    ) -> SmtpAccepted:
        try:
            accepted = await connection.send(sender=sender, recipient=recipient, content=content)
        except BaseException:
            connection.drop()
            raise
        self._give_back(connection)
        return accepted

    async def check(self) -> None:
        """Whether the server answers: a connection and a NOOP. Raises TemporaryFailure when it does not."""
        if (resting := self._take_idle()) is not None:
            with contextlib.suppress(TemporaryFailure):
                return await self._check_on(resting)
        return await self._check_on(await self._connect())

    async def _check_on(self, connection: Connection) -> None:
        try:
            await connection.noop()
        except BaseException:
            connection.drop()
            raise
        self._give_back(connection)

    async def close(self) -> None:
        """Says goodbye on the connections that rest; one in use is closed when its mail is through."""
        self._is_closed = True
        resting, self._idle = list(self._idle), deque()
        await asyncio.gather(*(connection.quit(GOODBYE_SECONDS) for connection in resting), *self._goodbyes)

    async def _connect(self) -> Connection:
        try:
            return await Connection.open(
                self._dsn,
                self._tls,
                timeout_seconds=self._timeout_seconds,
                answer_seconds=self._answer_seconds,
            )
        except RelanceError:
            # What refuses a new connection has often closed the old ones too, without their knowing.
            self._drop_idle()
            raise

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_seconds < self._idle_seconds:
                return connection
            connection.drop()
        return None

    def _give_back(self, connection: Connection) -> None:
        is_worn = connection.mails_sent >= self._mails_per_connection or len(self._idle) >= self._size
        if self._is_closed or is_worn:
            # Beside the send, not in it: a cancelled goodbye must not cost the answer already in hand.
            goodbye = asyncio.create_task(connection.quit(GOODBYE_SECONDS))
            self._goodbyes.add(goodbye)
            goodbye.add_done_callback(self._goodbyes.discard)
        elif connection.is_open:
            self._idle.append(connection)

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().drop()


def _tls_context(*, verify_peer: bool) -> ssl.SSLContext:
    # Made once: reading the system's certificates takes longer than a mail does.
    context = ssl.create_default_context()
    if not verify_peer:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
