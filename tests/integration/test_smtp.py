"""Sending over SMTP to a real server in a process of its own, which does at every step what servers do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome
from libs.devstack.mail_catcher.control import MailCatcherControl
from libs.devstack.mail_catcher.process import RunningCatcher, running_catcher
from libs.devstack.ports import free_port
from libs.integrations.smtp import Smtp, SmtpAccepted
from libs.integrations.smtp.answers import ALARMS
from tests.world import until

MAIL = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: one\r\n\r\nhello\r\n.dots\r\n..\r\n"
LATE_SECONDS = 30.0


@pytest.fixture
async def catcher(tmp_path: Path) -> AsyncIterator[RunningCatcher]:
    async with running_catcher(tmp_path) as running:
        yield running


@pytest.fixture
async def control(catcher: RunningCatcher) -> MailCatcherControl:
    return catcher.control


@pytest.fixture
async def smtp(catcher: RunningCatcher) -> AsyncIterator[Smtp]:
    pool = Smtp(catcher.dsn, size=2, timeout_seconds=10)
    yield pool
    await pool.close()


async def send(smtp: Smtp, recipient: str = "b@example.com") -> SmtpAccepted:
    return await smtp.send(sender="a@example.com", recipient=recipient, content=MAIL)


def alarms(why: str) -> float:
    return float(ALARMS.labels(why)._value.get())


async def test_an_accepted_mail_arrives_byte_for_byte_and_the_answer_names_it(
    smtp: Smtp, control: MailCatcherControl
) -> None:
    accepted = await send(smtp)
    (mail,) = await control.mails()
    assert (accepted.code, accepted.queue_id) == (250, mail.id)
    assert await control.source(mail.id) == MAIL


async def test_more_mails_than_connections_share_them(smtp: Smtp, control: MailCatcherControl) -> None:
    await asyncio.gather(*(send(smtp, f"b{number}@example.com") for number in range(20)))
    assert len(await control.counts()) == 20
    assert smtp.free == 2


async def test_free_tells_how_many_connections_are_not_in_use(
    smtp: Smtp, control: MailCatcherControl
) -> None:
    await control.answer_next(at="body", delay_seconds=LATE_SECONDS)
    sending = asyncio.create_task(send(smtp))

    async def is_under_way() -> bool:
        return not await control.orders()

    await until(is_under_way, what="the mail at the server")
    assert smtp.free == 1
    sending.cancel()
    with pytest.raises(UnknownOutcome):
        await sending
    assert smtp.free == 2


@pytest.mark.parametrize("at", ["connect", "mail", "rcpt", "data", "body"])
async def test_a_4xx_is_temporary_at_every_step(smtp: Smtp, control: MailCatcherControl, at: str) -> None:
    await control.answer_next("451 4.3.0 try later", at=at)  # type: ignore[arg-type]
    with pytest.raises(TemporaryFailure, match="451"):
        await send(smtp)
    assert await control.mails() == ()
    await send(smtp)
    assert len(await control.mails()) == 1


@pytest.mark.parametrize("at", ["connect", "mail", "rcpt", "data"])
async def test_a_connection_lost_before_the_body_is_temporary(
    smtp: Smtp, control: MailCatcherControl, at: str
) -> None:
    await control.answer_next(at=at, drop=True)  # type: ignore[arg-type]
    with pytest.raises(TemporaryFailure):
        await send(smtp)
    await send(smtp)
    assert len(await control.mails()) == 1


@pytest.mark.parametrize("at", ["rcpt", "data", "body"])
async def test_a_5xx_about_the_mail_or_its_recipient_is_permanent(
    smtp: Smtp, control: MailCatcherControl, at: str
) -> None:
    await control.answer_next("550 5.1.1 unknown", at=at)  # type: ignore[arg-type]
    with pytest.raises(PermanentFailure, match=r"550 5\.1\.1"):
        await send(smtp)
    await send(smtp)


@pytest.mark.parametrize(
    ("at", "reply", "why"),
    [
        ("connect", "554 5.3.2 no service", "configuration"),
        ("mail", "530 5.7.0 authentication required", "authentication"),
        ("mail", "550 5.1.8 sender not verified", "configuration"),
        ("rcpt", "554 5.7.1 relay access denied", "configuration"),
        ("data", "503 5.5.1 bad sequence", "configuration"),
        ("body", "550 5.3.0 mail system misconfigured", "configuration"),
        ("body", "421 4.3.2 shutting down", "unavailable"),
    ],
)
async def test_a_refusal_that_is_about_us_is_temporary_and_alarms(
    smtp: Smtp, control: MailCatcherControl, at: str, reply: str, why: str
) -> None:
    before = alarms(why)
    await control.answer_next(reply, at=at)  # type: ignore[arg-type]
    with pytest.raises(TemporaryFailure, match=reply[:3]):
        await send(smtp)
    assert alarms(why) == before + 1


async def test_a_mail_that_is_too_big_is_permanent_even_at_mail(
    smtp: Smtp, control: MailCatcherControl
) -> None:
    await control.answer_next("552 5.3.4 too big", at="mail")
    with pytest.raises(PermanentFailure):
        await send(smtp)


@pytest.mark.parametrize("keep", [True, False])
async def test_a_connection_lost_after_the_final_dot_is_unknown_whether_it_was_kept_or_not(
    smtp: Smtp, control: MailCatcherControl, keep: bool
) -> None:
    await control.answer_next(at="body", drop=True, keep=keep)
    with pytest.raises(UnknownOutcome):
        await send(smtp)
    assert len(await control.mails()) == int(keep)


async def test_silence_after_the_final_dot_is_unknown(
    catcher: RunningCatcher, control: MailCatcherControl
) -> None:
    smtp = Smtp(catcher.dsn, size=1, timeout_seconds=10, answer_seconds=0.3)
    await control.answer_next(at="body", keep=True, delay_seconds=LATE_SECONDS)
    with pytest.raises(UnknownOutcome):
        await send(smtp)
    assert len(await control.mails()) == 1
    await smtp.close()


async def test_silence_before_the_body_is_temporary(
    catcher: RunningCatcher, control: MailCatcherControl
) -> None:
    smtp = Smtp(catcher.dsn, size=1, timeout_seconds=0.5)
    await control.answer_next(at="rcpt", delay_seconds=LATE_SECONDS)
    with pytest.raises(TemporaryFailure):
        await send(smtp)
    await smtp.close()


async def test_a_cancelled_send_before_the_body_is_just_cancelled(
    smtp: Smtp, control: MailCatcherControl
) -> None:
    await control.answer_next(at="rcpt", delay_seconds=LATE_SECONDS)
    sending = asyncio.create_task(send(smtp))

    async def is_under_way() -> bool:
        return not await control.orders()

    await until(is_under_way, what="the recipient at the server")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await send(smtp)
    assert len(await control.mails()) == 1


async def test_a_connection_that_died_while_it_rested_is_replaced_silently(tmp_path: Path) -> None:
    port = free_port()
    async with running_catcher(tmp_path, smtp_port=port) as first:
        smtp = Smtp(first.dsn, size=1, timeout_seconds=10)
        await send(smtp)
    async with running_catcher(tmp_path, smtp_port=port) as second:
        await send(smtp)
        assert len(await second.control.mails()) == 2
        await smtp.close()


@pytest.mark.parametrize("reply", [None, "421 4.4.2 idle too long"])
async def test_a_reused_connection_that_is_dead_before_mail_is_answered_is_replaced_once(
    smtp: Smtp, control: MailCatcherControl, reply: str | None
) -> None:
    await send(smtp)
    await control.answer_next(reply, at="mail", drop=reply is None)
    await send(smtp)
    assert len(await control.mails()) == 2
    await control.answer_next(reply, at="mail", times=2, drop=reply is None)
    with pytest.raises(TemporaryFailure):
        await send(smtp)


async def test_connections_are_reused_until_they_are_worn(
    catcher: RunningCatcher, control: MailCatcherControl
) -> None:
    smtp = Smtp(catcher.dsn, size=1, timeout_seconds=10, mails_per_connection=3)
    # Only a fourth mail needs a second connection, and finds no greeting there.
    await send(smtp)
    await control.answer_next("421 4.3.2 too many connections", at="connect")
    await send(smtp)
    await send(smtp)
    with pytest.raises(TemporaryFailure, match="421"):
        await send(smtp)
    await smtp.close()


async def test_a_server_that_is_not_there_is_temporary() -> None:
    smtp = Smtp(f"smtp://127.0.0.1:{free_port()}", size=1, timeout_seconds=5)
    with pytest.raises(TemporaryFailure, match="connect"):
        await send(smtp)
    with pytest.raises(TemporaryFailure):
        await smtp.check()


async def test_a_server_that_never_greets_is_temporary() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as silent:
        smtp = Smtp(f"smtp://127.0.0.1:{silent.getsockname()[1]}", size=1, timeout_seconds=0.3)
        with pytest.raises(TemporaryFailure):
            await send(smtp)


async def test_check_answers_for_the_server(smtp: Smtp) -> None:
    await smtp.check()
    await send(smtp)
    await smtp.check()


async def test_a_login_is_made_where_the_dsn_has_one(
    catcher: RunningCatcher, control: MailCatcherControl
) -> None:
    smtp = Smtp(f"smtp://lea%40x:p%3Aw@127.0.0.1:{catcher.smtp_port}", size=1, timeout_seconds=10)
    await send(smtp)
    (mail,) = await control.mails()
    assert mail.login == "lea@x"
    await smtp.close()


async def test_a_refused_login_is_temporary_and_alarms(
    catcher: RunningCatcher, control: MailCatcherControl
) -> None:
    before = alarms("authentication")
    await control.answer_next("535 5.7.8 bad credentials", at="auth", times=0)
    smtp = Smtp(f"smtp://lea:wrong@127.0.0.1:{catcher.smtp_port}", size=1, timeout_seconds=10)
    with pytest.raises(TemporaryFailure, match="535") as failure:
        await send(smtp)
    assert alarms("authentication") == before + 1
    assert "wrong" not in str(failure.value)


async def test_demanded_tls_that_is_not_offered_is_temporary_and_alarms(
    catcher: RunningCatcher, control: MailCatcherControl
) -> None:
    before = alarms("configuration")
    smtp = Smtp(f"{catcher.dsn}?require_tls=1", size=1, timeout_seconds=10)
    with pytest.raises(TemporaryFailure):
        await send(smtp)
    assert alarms("configuration") == before + 1
    assert await control.mails() == ()


async def test_an_address_that_cannot_be_written_to_is_permanent(smtp: Smtp) -> None:
    for address in ("", "nobody", "a b@example.com", "é@example.com", "a@example.com\r\nRCPT TO:<x@y.fr>"):
        with pytest.raises(PermanentFailure):
            await send(smtp, address)
