"""The SMTP door: takes every mail, or does what a test ordered."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, LoginPassword

from libs.devstack.mail_catcher.models import Answer, Moment
from libs.devstack.mail_catcher.simulation import Simulation
from libs.devstack.mail_catcher.store import Envelope, MailStore

HOSTNAME = "mail-catcher.localhost"
log = logging.getLogger("relance.mail_catcher")


class _Session(SMTP):
    """One connection. aiosmtpd has hooks for all moments but the greeting and the 354."""

    async def _handle_client(self) -> None:
        if (answer := self.event_handler.simulation.take("connect")) is not None:
            reply = await self.event_handler.obey(self, answer)
            if reply is not MISSING:
                await self.push(reply)
                self._writer.close()
                return
        await super()._handle_client()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        reply = await self.event_handler.answer(self, "data", self.envelope.rcpt_tos if self.envelope else [])
        if reply is not MISSING:
            await self.push(reply)
            return
        await super().smtp_DATA(arg)


class _Handler:
    """aiosmtpd calls the hooks by these names; what they return is what the client reads."""

    def __init__(self, store: MailStore, simulation: Simulation) -> None:
        self.simulation = simulation
        self._store = store

    async def answer(self, session: Any, at: Moment, recipients: list[str]) -> Any:
        answer = self.simulation.take(at, [recipient.lower() for recipient in recipients])
        return MISSING if answer is None else await self.obey(session, answer)

    async def obey(self, session: Any, answer: Answer) -> Any:
        """What the client reads; MISSING for the ordinary answer. Never returns to a dropped connection."""
        await asyncio.sleep(answer.delay_seconds)
        if answer.drop:
            if session.transport is not None:
                session.transport.abort()
            # connection_lost() cancels the session, here.
            await asyncio.Event().wait()
        return MISSING if answer.reply is None else answer.reply

    async def handle_AUTH(self, server: Any, session: Any, envelope: Any, args: list[str]) -> Any:  # noqa: N802
        return await self.answer(server, "auth", [])

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> Any:
        reply = await self.answer(server, "mail", [])
        if reply is MISSING:
            envelope.mail_from, reply = address, "250 2.1.0 Ok"
            envelope.mail_options.extend(options)
        return reply

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> Any:
        reply = await self.answer(server, "rcpt", [address])
        if reply is MISSING:
            envelope.rcpt_tos.append(address)
            reply = "250 2.1.5 Ok"
        return reply

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        recipients = [recipient.lower() for recipient in envelope.rcpt_tos]
        answer = self.simulation.take("body", recipients)
        if answer is not None and not answer.keep:
            reply = await self.obey(server, answer)
            if reply is not MISSING:
                return str(reply)
        login = session.auth_data.login.decode(errors="replace") if session.auth_data else None
        caught = Envelope(envelope.mail_from, tuple(envelope.rcpt_tos), login)
        mail = await self._store.keep(caught, envelope.original_content)
        if answer is not None and answer.keep:
            reply = await self.obey(server, answer)
            if reply is not MISSING:
                return str(reply)
        return f"250 2.0.0 Ok: queued as {mail.id}"


def _accept_any_login(
    server: Any, session: Any, envelope: Any, mechanism: str, auth_data: LoginPassword
) -> AuthResult:
    return AuthResult(success=True, auth_data=auth_data)


async def serve_smtp(host: str, port: int, store: MailStore, simulation: Simulation) -> asyncio.Server:
    """Listens until it is closed."""
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    loop = asyncio.get_running_loop()
    handler = _Handler(store, simulation)

    def new_session() -> asyncio.Protocol:
        session: asyncio.Protocol = _Session(
            handler,
            hostname=HOSTNAME,
            ident="Relance mail catcher",
            enable_SMTPUTF8=True,
            auth_require_tls=False,
            authenticator=_accept_any_login,
            loop=loop,
        )
        return session

    return await loop.create_server(new_session, host, port)
