"""One connection to a mail server, and how far the mail on it has come."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time

import aiosmtplib
from aiosmtplib.protocol import normalize_message_line_endings

from libs.common.errors import PermanentFailure, RelanceError, TemporaryFailure, UnknownOutcome
from libs.integrations.smtp.answers import (
    SERVICE_NOT_AVAILABLE,
    SmtpAccepted,
    Stage,
    raise_alarm,
    refusal,
)
from libs.integrations.smtp.dsn import MailerDsn

START_INPUT = 354
_TROUBLE = (aiosmtplib.SMTPException, OSError, ValueError)


class Connection:
    """Connected, logged in, ready for MAIL.

    After any failure it must be closed: what the other side believes to be in the middle of is not known.
    """

    def __init__(self, client: aiosmtplib.SMTP, *, answer_seconds: float) -> None:
        self._client = client
        self._answer_seconds = answer_seconds
        self.stage = Stage.MAIL
        self.mails_sent = 0
        self.is_stale = False
        """It was found dead before the server had begun to take the mail: another one may try again."""
        self._idle_since = time.monotonic()

    @classmethod
    async def open(
        cls, dsn: MailerDsn, tls: ssl.SSLContext, *, timeout_seconds: float, answer_seconds: float
    ) -> Connection:
        """Connects, takes up TLS, logs in. Raises TemporaryFailure: nothing was sent."""
        client = aiosmtplib.SMTP(
            hostname=dsn.host,
            port=dsn.port,
            username=dsn.user,
            password=dsn.password,
            use_tls=dsn.tls,
            start_tls=dsn.start_tls,
            tls_context=tls,
            local_hostname=dsn.local_domain,
            timeout=timeout_seconds,
        )
        try:
            await client.connect()
        except _TROUBLE as error:
            raise _connect_failure(dsn, error) from error
        return cls(client, answer_seconds=answer_seconds)

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    @property
    def idle_seconds(self) -> float:
        return time.monotonic() - self._idle_since

    async def send(self, *, sender: str, recipient: str, content: bytes) -> SmtpAccepted:
        """One mail. Raises TemporaryFailure, PermanentFailure or UnknownOutcome, by what surely happened."""
        self.stage = Stage.MAIL
        try:
            code, message = await self._hand_over(sender, recipient, content)
        except asyncio.CancelledError as cancelled:
            if self.stage is Stage.BODY:
                raise UnknownOutcome(
                    "the sending was cancelled after the mail was handed over"
                ) from cancelled
            raise
        except _TROUBLE as error:
            raise self._failure(error) from error
        self.mails_sent += 1
        self._idle_since = time.monotonic()
        return self._outcome(code, message)

    async def _hand_over(self, sender: str, recipient: str, content: bytes) -> tuple[int, str]:
        await self._client.mail(sender)
        self.stage = Stage.RCPT
        await self._client.rcpt(recipient)
        self.stage = Stage.DATA
        answer = await self._client.execute_command(b"DATA")
        if answer.code != START_INPUT:
            raise aiosmtplib.SMTPDataError(answer.code, answer.message)
        return await self._write_body(content)

    async def _write_body(self, content: bytes) -> tuple[int, str]:
        # Not aiosmtplib's own data(): it does not say on which side of the final dot it failed.
        protocol = self._client.protocol
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        protocol.write(_on_the_wire(content))
        self.stage = Stage.BODY
        answer = await protocol.read_response(timeout=self._answer_seconds)
        return answer.code, answer.message

    def _outcome(self, code: int, message: str) -> SmtpAccepted:
        match code // 100:
            case 2:
                return SmtpAccepted.of(code, message)
            case 4 | 5:
                raise refusal(Stage.BODY, code, message)
            case _:
                raise UnknownOutcome(f"the server's last answer makes no sense: {code} {message[:200]}")

    def _failure(self, error: Exception) -> RelanceError:
        if self.stage is Stage.BODY:
            return UnknownOutcome(f"no answer after the mail was handed over: {_text(error)}")
        if isinstance(error, aiosmtplib.SMTPResponseException):
            self.is_stale = self.stage is Stage.MAIL and error.code == SERVICE_NOT_AVAILABLE
            if self.is_stale and self.mails_sent:
                return TemporaryFailure(f"mail: {error.code} {error.message}")
            return refusal(self.stage, error.code, error.message)
        if isinstance(error, ValueError) and not isinstance(error, OSError):
            return PermanentFailure(f"{self.stage}: the address cannot be written to the wire: {error}")
        self.is_stale = self.stage is Stage.MAIL
        return TemporaryFailure(f"{self.stage}: {_text(error)}")

    async def noop(self) -> None:
        """Raises TemporaryFailure when the server does not answer as it should."""
        try:
            await self._client.noop()
        except _TROUBLE as error:
            raise TemporaryFailure(f"noop: {_text(error)}") from error

    def drop(self) -> None:
        """Closes at once, without a word."""
        self._client.close()

    async def quit(self, timeout_seconds: float) -> None:
        """Says goodbye, then closes; never raises."""
        with contextlib.suppress(*_TROUBLE):
            await self._client.quit(timeout=timeout_seconds)
        self._client.close()


def _on_the_wire(content: bytes) -> bytes:
    """Line ends made CRLF where they are not, dots doubled at the beginnings of lines, the final dot."""
    # Counting costs a tenth of what making anew does what is right already.
    if not content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r"):
        content = normalize_message_line_endings(content)
    elif not content.endswith(b"\r\n"):
        content += b"\r\n"
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def _connect_failure(dsn: MailerDsn, error: Exception) -> RelanceError:
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        text = f"{dsn}: the login is refused: {error.code} {error.message}"
        raise_alarm("authentication", text)
        return TemporaryFailure(text)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return refusal(Stage.CONNECT, error.code, error.message)
    if isinstance(error, (ssl.SSLError, ValueError)) or _is_not_offered(error):
        raise_alarm("configuration", f"{dsn}: {_text(error)}")
    return TemporaryFailure(f"connect: {dsn}: {_text(error)}")


def _is_not_offered(error: Exception) -> bool:
    """STARTTLS or a login is wanted that the server does not speak: aiosmtplib has no class for it."""
    return type(error) in (aiosmtplib.SMTPException, aiosmtplib.SMTPNotSupported)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
